/* The search by name: the list is in names.js, as [name, address, summary]. Names that begin with what was typed come
 * first, then those with a part that does, then the rest. "/" goes to the field, the arrows and Enter choose. */
"use strict";
(function () {
    const field = document.getElementById("search");
    const results = document.getElementById("results");
    const menu = document.querySelector(".menu");
    let chosen = 0;

    if (window.matchMedia("(max-width: 60rem)").matches)
        menu.open = false; /* there it stands above the text */

    function rank(name, words) {
        const bare = name.toLowerCase();
        let sum = 0;
        for (const word of words) {
            const at = bare.indexOf(word);
            if (at < 0)
                return -1;
            const starts = at === 0 || bare.startsWith("coir_" + word);
            sum += starts ? 0 : /[_ ]/.test(bare[at - 1]) ? 1 : 2;
        }
        return sum * 100 + bare.length;
    }

    function show() {
        const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        const found = words.length === 0 ? [] : coirNames
            .map(([name, address, summary]) => ({ name, address, summary, rank: rank(name, words) }))
            .filter(({ rank }) => rank >= 0)
            .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
            .slice(0, 30);
        results.replaceChildren(...found.map(({ name, address, summary }) => {
            const item = document.createElement("li");
            const link = item.appendChild(document.createElement("a"));
            link.href = field.dataset.base + address;
            link.append(name);
            link.appendChild(document.createElement("span")).textContent = summary;
            return item;
        }));
        results.hidden = found.length === 0;
        choose(0);
    }

    function choose(index) {
        const items = results.children;
        if (items.length === 0)
            return;
        chosen = (index + items.length) % items.length;
        for (let i = 0; i < items.length; i++)
            items[i].className = i === chosen ? "chosen" : "";
        items[chosen].scrollIntoView({ block: "nearest" });
    }

    field.addEventListener("input", show);
    field.addEventListener("keydown", (event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
            event.preventDefault();
        } else if (event.key === "Enter" && results.children.length > 0) {
            results.children[chosen].firstChild.click();
            results.hidden = true;
        } else if (event.key === "Escape") {
            field.value = "";
            show();
            field.blur();
        }
    });
    document.addEventListener("keydown", (event) => {
        if (event.key === "/" && document.activeElement !== field) {
            field.focus();
            event.preventDefault();
        }
    });
    document.addEventListener("click", (event) => {
        if (!event.target.closest(".search"))
            results.hidden = true;
    });
})();
