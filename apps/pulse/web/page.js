// Draws what /events sends. Everything that comes is put in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
let status = null;
let came = 0;

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

// Each height is about three times the one before, from 0.3 ms on.
function bar(latency) {
  const element = document.createElement("i");
  const height = Math.floor(Math.log(latency / 0.3) / Math.log(3)) + 2;
  element.className = latency === null ? "failed" : `h${Math.min(8, Math.max(1, height))}`;
  element.title = latency === null ? "failed" : duration(latency);
  return element;
}

function draw(element, target, late) {
  const set = (name, text) => { element.querySelector(name).textContent = text; };
  const failures = target.history.filter((latency) => latency === null).length;
  element.className = `target ${target.state}`;
  set(".name", target.name);
  set(".address", target.address);
  set(".latency", target.state === "up" ? duration(target.latency_ms) : target.state);
  set(".state", target.state === "unknown" ? "" : `${target.state} for ${age(target.since_s + late)}`);
  set(".error", !target.last_error ? "" : target.state === "down" ? target.last_error
    : `${target.last_error}, ${age(target.failed_s + late)} ago`);
  const bars = element.querySelector(".bars");
  bars.replaceChildren(...target.history.map(bar));
  bars.setAttribute("aria-label", `of the last ${target.history.length} checks ${failures} failed`);
}

function show() {
  if (!status) return;
  const list = byId("targets");
  const late = (performance.now() - came) / 1000;
  while (list.children.length < status.targets.length)
    list.append(byId("target").content.firstElementChild.cloneNode(true));
  status.targets.forEach((target, i) => draw(list.children[i], target, late));
  const parts = [`${status.up} up`];
  if (status.down) parts.push(`${status.down} down`);
  if (status.unknown) parts.push(`${status.unknown} not known yet`);
  document.title = status.down ? `${status.down} down · Pulse` : "Pulse";
  byId("summary").textContent = parts.join(", ");
  byId("summary").className = status.down ? "bad" : "";
  byId("footer").textContent = `${status.results} results`;
}

const events = new EventSource("events");
events.onmessage = (event) => {
  status = JSON.parse(event.data);
  came = performance.now();
  document.body.className = "";
  show();
};
events.onerror = () => {
  document.body.className = "lost";
  byId("summary").textContent = "Pulse does not answer; trying again";
  byId("summary").className = "bad";
};
setInterval(() => { if (!document.body.className) show(); }, 1000);
