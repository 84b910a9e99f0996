"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const theme = document.getElementById("theme");
  const order = ["auto", "light", "dark"];
  const setTheme = (name) => {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    theme.textContent = "Theme: " + name;
    theme.dataset.now = name;
  };
  theme.hidden = false;
  setTheme("auto");
  theme.addEventListener("click", () => setTheme(order[(order.indexOf(theme.dataset.now) + 1) % order.length]));

  addEventListener("beforeprint", () => document.querySelectorAll(".diffs details, .more").forEach((part) => { part.open = true; }));

  const rows = Array.from(document.querySelectorAll("#row-table tbody tr"));
  if (!rows.length) return;
  const search = document.getElementById("find");
  const arm = document.getElementById("arm");
  const state = document.getElementById("state");
  const differ = document.getElementById("differ");
  const status = document.getElementById("shown");
  const none = document.getElementById("nothing");
  const texts = rows.map((row) => row.textContent.toLowerCase());
  let extra = {};

  const has = (row, index, wanted) => wanted === "s" ? row.dataset.slow[index] === "1" : row.dataset.state[index] === wanted;
  const hasState = (row) => {
    if (!state.value) return true;
    if (arm.value !== "") return has(row, Number(arm.value), state.value);
    return Array.from(row.dataset.state).some((_, index) => has(row, index, state.value));
  };
  const hasExtra = (row) => {
    if (extra.base !== undefined && row.dataset.state[extra.baseIndex] !== extra.base) return false;
    if (extra.truth !== undefined && row.dataset.truth !== extra.truth) return false;
    if (extra.answer !== undefined && row.dataset.labels.split(",")[Number(arm.value)] !== extra.answer) return false;
    return true;
  };
  const show = () => {
    const words = search.value.toLowerCase();
    let seen = 0;
    rows.forEach((row, index) => {
      const keep = texts[index].includes(words) && hasState(row) && hasExtra(row) && (!differ.checked || row.dataset.differ === "1");
      row.hidden = !keep;
      seen += keep;
    });
    none.hidden = seen > 0;
    status.textContent = seen + " of " + rows.length + " rows shown" + (extra.words ? ": " + extra.words : "");
  };
  const byHand = () => { extra = {}; show(); };
  search.addEventListener("input", show);
  [arm, state, differ].forEach((control) => control.addEventListener("change", byHand));
  document.getElementById("clear").addEventListener("click", () => {
    search.value = ""; arm.value = ""; state.value = ""; differ.checked = false; byHand();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-show]");
    if (!link) return;
    const wanted = JSON.parse(link.dataset.show);
    search.value = wanted.find || "";
    arm.value = wanted.arm === undefined ? "" : String(wanted.arm);
    state.value = wanted.is || "";
    differ.checked = Boolean(wanted.differ);
    extra = wanted;
    show();
  });
  show();
})();
