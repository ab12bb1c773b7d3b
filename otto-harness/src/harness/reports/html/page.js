"use strict";
// Without this script the page is all there; with it one can search, filter, fold and copy.
(() => {
  const root = document.documentElement;
  addEventListener("error", (event) => { root.dataset.error = event.message || "error"; });
  root.classList.add("js");
  const tests = [...document.querySelectorAll(".test")];
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const buttons = [...document.querySelectorAll("button[data-show]")];
  // Lower-case text of each test, made when it is first searched.
  const texts = new Map();
  const text = (test) => {
    if (!texts.has(test)) texts.set(test, test.textContent.toLowerCase());
    return texts.get(test);
  };
  let show = "";

  const highlight = (word) => {
    if (!window.Highlight || !CSS.highlights) return;
    CSS.highlights.delete("found");
    if (word.length < 2) return;
    const ranges = [];
    for (const test of tests) {
      if (test.hidden || !test.open) continue;
      const walker = document.createTreeWalker(test, NodeFilter.SHOW_TEXT);
      while (walker.nextNode() && ranges.length < 2000) {
        const node = walker.currentNode;
        const low = node.data.toLowerCase();
        for (let at = low.indexOf(word); at >= 0 && low.length === node.data.length; at = low.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  };

  const update = () => {
    const word = search.value.trim().toLowerCase();
    let count = 0;
    for (const test of tests) {
      const fits = (!show || test.dataset.verdict === show) && (!word || text(test).includes(word));
      test.hidden = !fits;
      count += fits;
    }
    // What was found in a fold is unfolded, if that is not half the page.
    if (word.length > 1 && count <= 10) {
      for (const test of tests) {
        if (test.hidden) continue;
        for (const fold of test.querySelectorAll("details")) {
          if (fold.textContent.toLowerCase().includes(word)) fold.open = true;
        }
        test.open = true;
      }
    }
    found.textContent = show || word ? `${count} of ${tests.length}` : "";
    for (const button of buttons) {
      if (button.dataset.show) button.setAttribute("aria-pressed", String(button.dataset.show === show));
    }
    highlight(word);
  };

  let later = 0;
  search.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(update, 120);
  });
  for (const button of buttons) {
    button.addEventListener("click", () => {
      show = button.dataset.show === show ? "" : button.dataset.show;
      if (!button.dataset.show) search.value = "";
      update();
    });
  }
  document.getElementById("fold").addEventListener("click", () => {
    for (const fold of document.querySelectorAll("#tests details[open]")) fold.open = false;
  });
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        // A page from a file may not write there: the text is marked instead.
        getSelection().selectAllChildren(code);
        button.textContent = "Marked";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target || !target.classList.contains("test")) return;
    if (target.hidden) {
      show = "";
      search.value = "";
      update();
    }
    target.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    }
  });
  unfold();
  root.dataset.ready = String(tests.length);
})();
