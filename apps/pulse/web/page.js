// Draws what Pulse sends: all targets first, then those that have changed. Everything that comes is put in as text,
// never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const rows = []; // of targets by their index: what was sent, when it came, and the element
let status = null;

const SHAPES = {
  up: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z",
  warns: "M8 1.5L15.5 14.5H.5z",
  down: "M3.2 1L8 5.8L12.8 1L15 3.2L10.2 8L15 12.8L12.8 15L8 10.2L3.2 15L1 12.8L5.8 8L1 3.2z",
  unknown: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM8 5a3 3 0 1 1 0 6a3 3 0 1 1 0-6z",
};
const COLOURS = { up: "#149160", warns: "#c98a14", down: "#d33a36", unknown: "#7d8794" };

// --- Texts ---

function age(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function duration(ms) {
  if (ms >= 999.5) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0)} ms`;
}

function count(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

function note(target, late) {
  if (target.state === "down") return target.last_error_detail.replace(/^[A-Z]+ https?:\/\/\S+: /, "");
  const failed = target.last_error ? `${target.last_error}, ${age(target.failed_s + late)} ago` : "";
  return [target.warning, failed].filter(Boolean).join(" · ");
}

function summary() {
  const all = rows.length;
  if (status.down) return `${status.down} of ${count(all, "target")} ${status.down === 1 ? "is" : "are"} down`;
  if (status.unknown) return `Checking ${count(all, "target")}`;
  if (all === 1) return "The target is up";
  return `All ${count(all, "target")} are up`;
}

// --- Drawing ---

// One bar for one check, the newest on the right; each height is about three times the latency of the one before, from
// 0.3 ms on. Bars of a kind are one path.
function bars(history) {
  const MOST = 20;
  const paths = { none: "", good: "", failed: "" };
  for (let place = 0; place < MOST; place++) {
    const i = place - MOST + history.length;
    const latency = history[i];
    const step = latency > 0 ? Math.floor(Math.log(latency / 0.3) / Math.log(3)) + 2 : 1;
    const height = i < 0 ? 2 : latency === null ? 32 : 4 * Math.min(8, Math.max(1, step));
    paths[i < 0 ? "none" : latency === null ? "failed" : "good"] += `M${8 * place} ${32 - height}h6v${height}h-6z`;
  }
  return paths;
}

function set(row, name, text) {
  const element = row.element.querySelector(name);
  if (element.textContent !== text) element.textContent = text;
}

function drawAge(row) {
  const target = row.target, late = (performance.now() - row.came) / 1000;
  const words = { up: "up for ", down: "for " }[target.state]; // "down" stands in the place of the latency
  set(row, ".state", words ? words + age(target.since_s + late) : "");
  set(row, ".note", note(target, late));
}

// Of a row that is out of sight, only how it is: there may be thousands.
function draw(row) {
  const target = row.target;
  const look = target.warning ? "warns" : target.state;
  row.element.className = `target ${target.state} ${look}`;
  if (!row.seen) return;
  const failures = target.history.filter((latency) => latency === null).length;
  row.element.querySelector(".mark path").setAttribute("d", SHAPES[look]);
  set(row, ".latency", target.state === "up" ? duration(target.latency_ms) : target.state);
  const chart = row.element.querySelector(".bars");
  chart.setAttribute("aria-label", `${failures} of the last ${count(target.history.length, "check")} failed`);
  const paths = bars(target.history);
  for (const kind in paths) chart.querySelector(`.${kind}`).setAttribute("d", paths[kind]);
  drawAge(row);
}

const sight = new IntersectionObserver((entries) => {
  for (const { target: element, isIntersecting } of entries) {
    const row = rows[element.dataset.index];
    row.seen = isIntersecting;
    if (row.seen) draw(row);
  }
}, { rootMargin: "400px" });

function makeRow(target) {
  const row = { element: byId("target").content.firstElementChild.cloneNode(true) };
  row.text = `${target.name} ${target.address}`.toLowerCase();
  row.element.dataset.index = target.index;
  set(row, ".name", target.name);
  set(row, ".address", target.address);
  row.element.querySelector(".address").title = target.address;
  return row;
}

// Shows those rows that fit what was asked for, out of some.
function choose(some) {
  const words = byId("filter").value.trim().toLowerCase();
  const problems = byId("problems").checked;
  for (const { target, text, element } of some) {
    const hidden = (problems && target.state !== "down" && !target.warning) || !text.includes(words);
    if (element.hidden !== hidden) element.hidden = hidden;
  }
  byId("nothing").hidden = rows.length === 0 || Boolean(document.querySelector(".target:not([hidden])"));
}

let icon = "";
function drawIcon(look) {
  if (icon === look) return;
  icon = look;
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="${COLOURS[look]}" d="${SHAPES[look]}"/></svg>`;
  document.querySelector("link[rel=icon]").href = `data:image/svg+xml,${encodeURIComponent(picture)}`;
}

function drawSummary() {
  const parts = [`${status.up} up`];
  if (status.down) parts.push(`${status.down} down`);
  if (status.unknown) parts.push(`${status.unknown} not known yet`);
  if (status.warnings) parts.push(count(status.warnings, "warning"));
  parts.push(count(status.results, "result"));
  const text = summary();
  if (byId("summary").textContent !== text) byId("summary").textContent = text; // else it would be read out again
  byId("footer").textContent = parts.join(" · ");
  byId("tools").hidden = rows.length < 8;
  document.body.classList.toggle("has-down", status.down > 0);
  document.title = status.down ? `${status.down} down · Pulse` : "Pulse";
  drawIcon(status.down ? "down" : status.warnings ? "warns" : status.unknown ? "unknown" : "up");
}

// --- What comes ---

function take(message) {
  status = JSON.parse(message);
  const fresh = document.createDocumentFragment();
  const changed = status.targets.map((target) => {
    let row = rows[target.index];
    if (!row) {
      row = rows[target.index] = makeRow(target);
      fresh.append(row.element);
      sight.observe(row.element);
    }
    row.target = target;
    row.came = performance.now();
    draw(row);
    return row;
  });
  byId("targets").append(fresh);
  drawSummary();
  choose(changed);
}

function tell(words, lost) {
  byId("connection").textContent = words;
  document.body.classList.toggle("lost", lost);
}

const LOST = "Pulse does not answer; trying again";

// By WebSocket; where that was never possible, by server-sent events, which come through any proxy.
let opened = false, failures = 0;
function listen() {
  const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
  socket.onopen = () => { opened = true; failures = 0; tell("live", false); };
  socket.onmessage = (event) => take(event.data);
  socket.onclose = () => {
    if (!opened) return listenToEvents();
    tell(LOST, true);
    setTimeout(listen, Math.min(10000, 250 * 2 ** failures++));
  };
}

function listenToEvents() {
  const events = new EventSource("events");
  events.onopen = () => tell("live, by events", false);
  events.onmessage = (event) => take(event.data);
  events.onerror = () => tell(LOST, true);
}

byId("tools").onsubmit = (event) => event.preventDefault();
byId("filter").oninput = byId("problems").onchange = () => choose(rows);
setInterval(() => {
  if (document.hidden || document.body.classList.contains("lost")) return;
  for (const row of rows) if (row.seen) drawAge(row);
}, 1000);
listen();
