"use strict";
// Filter and search. The page is complete without this script.
(() => {
  const form = document.getElementById("filter");
  const { find, site, tag, found, fold, unfold } = form.elements;
  const tags = tag ? [...(tag.length === undefined ? [tag] : tag)] : [];
  const kinds = [...document.querySelectorAll("details.kind")].map((node) => ({
    node,
    open: node.open,
    text: null,
    sites: node.dataset.sites.split(" "),
    tags: node.dataset.tags.split(" "),
  }));
  const bare = (text) => text.replace(/[\s:.-]/g, "");
  // without its spaces a text may match over the border of two cells: only numbers of phones are searched so
  const needles = (text) => {
    const query = text.trim().toLowerCase();
    const mac = bare(query);
    return query && /^[0-9a-f]{4,12}$/.test(mac) ? [query, mac] : [query];
  };
  const has = (text, wanted) => wanted.some((one) => text.includes(one));

  const rows = (kind, wanted) => {
    // of many phones in a list only those that are looked for, where some are
    for (const list of kind.node.querySelectorAll(".macs, .each tbody")) {
      const every = [...list.children];
      const hits = wanted[0] ? every.filter((row) => has(row.textContent.toLowerCase(), wanted)) : [];
      const chosen = new Set(hits.length ? hits : every);
      for (const row of every) row.hidden = !chosen.has(row);
      const around = list.closest("details:not(.kind)");
      if (around && wanted[0]) around.open = hits.length > 0;
    }
  };

  const apply = () => {
    const wanted = needles(find.value);
    const ticked = tags.filter((box) => box.checked).map((box) => box.value);
    let shown = 0;
    for (const kind of kinds) {
      if (wanted[0] && kind.text === null) kind.text = kind.node.textContent.toLowerCase();
      const is =
        (!wanted[0] || has(kind.text, wanted)) &&
        (!site || !site.value || kind.sites.includes(site.value)) &&
        ticked.every((one) => kind.tags.includes(one));
      kind.node.hidden = !is;
      shown += is;
    }
    const last = kinds.filter((kind) => !kind.node.hidden);
    for (const kind of kinds) {
      if (wanted[0] && !kind.node.hidden && last.length <= 20) kind.node.open = true;
      else if (!wanted[0]) kind.node.open = kind.open;
      if (!kind.node.hidden && (last.length <= 20 || !wanted[0])) rows(kind, wanted);
    }
    const all = shown === kinds.length;
    found.value = all ? "" : `${shown.toLocaleString("en")} of ${kinds.length.toLocaleString("en")} shown`;
  };

  const all = (open) => {
    for (const kind of kinds) if (!kind.node.hidden) kind.node.open = kind.open = open;
  };

  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  unfold.addEventListener("click", () => all(true));
  fold.addEventListener("click", () => all(false));
  form.hidden = kinds.length === 0;

  const target = () => {
    const node = location.hash.startsWith("#change-") && document.getElementById(location.hash.slice(1));
    if (node) node.open = true;
  };
  addEventListener("hashchange", target);
  target();
})();
