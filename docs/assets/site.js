// What the site adds to a page that is complete without it: strips that step, exercises that
// remember. Solved exercises are kept in the browser alone, in localStorage under
// "walkthroughs.solved": a JSON list of "<system>/<module>#<exercise>".

const SOLVED = "walkthroughs.solved";

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// Strips: one state at a time, by buttons or by keys.

function live(strip) {
  const states = [...strip.querySelectorAll(":scope > .strip__state")];
  if (states.length < 2) return;
  const previous = element("button", { type: "button", class: "strip__button" }, "Previous");
  const next = element("button", { type: "button", class: "strip__button" }, "Next");
  const position = element("span", { class: "strip__position", "aria-live": "polite" });
  let current = 0;

  function show(index) {
    current = Math.max(0, Math.min(index, states.length - 1));
    states.forEach((state, i) => state.classList.toggle("strip__state--current", i === current));
    position.textContent = `${current + 1} of ${states.length}`;
    // Not `disabled`: a button that disables itself under the reader's finger drops the focus.
    previous.setAttribute("aria-disabled", String(current === 0));
    next.setAttribute("aria-disabled", String(current === states.length - 1));
  }

  previous.addEventListener("click", () => show(current - 1));
  next.addEventListener("click", () => show(current + 1));
  strip.addEventListener("keydown", (event) => {
    const last = states.length - 1;
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    // Material listens at the document: there the arrows would turn the page.
    event.stopPropagation();
    show(to);
  });

  const bar = element("div", { class: "strip__bar" });
  bar.append(previous, position, next);
  strip.append(bar);
  strip.tabIndex = 0;
  strip.classList.add("strip--live");
  show(0);
}

// Exercises: a mark that stays, and a count of them. A browser may refuse to keep anything; then
// the marks last as long as the page.

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(SOLVED) ?? "[]");
    return new Set(Array.isArray(kept) ? kept : []);
  } catch {
    return new Set();
  }
}

function keep(solved) {
  try {
    localStorage.setItem(SOLVED, JSON.stringify([...solved].sort()));
  } catch {
    // Nothing to do: the page shows the mark all the same.
  }
}

function progress(exercises) {
  const ids = exercises.map((exercise) => exercise.dataset.exercise);
  let solved = read();
  const count = element("p", { class: "progress", role: "status" });
  const buttons = exercises.map(() => element("button", { type: "button", class: "exercise__mark" }));

  function show() {
    exercises.forEach((exercise, i) => {
      const done = solved.has(ids[i]);
      exercise.classList.toggle("exercise--solved", done);
      buttons[i].setAttribute("aria-pressed", String(done));
      buttons[i].textContent = done ? "Solved" : "Mark as solved";
    });
    const done = ids.filter((id) => solved.has(id)).length;
    count.textContent = `${done} of ${ids.length} exercises solved`;
  }

  exercises.forEach((exercise, i) => {
    buttons[i].addEventListener("click", () => {
      if (!solved.delete(ids[i])) solved.add(ids[i]);
      keep(solved);
      show();
    });
    exercise.append(buttons[i]);
  });
  addEventListener("storage", (event) => {
    if (event.key === SOLVED || event.key === null) {
      solved = read();
      show();
    }
  });
  const place = document.querySelector(".chapter") ?? document.querySelector(".md-content h1");
  place?.after(count);
  show();
}

// Copying: the press writes beside each example what its button gives; a check has none.

function code(text) {
  const lines = text.split("\n").filter((line) => /^(>>>|\.\.\.)( |$)/.test(line));
  return lines.map((line) => line.slice(4)).join("\n");
}

document.querySelectorAll(".strip").forEach(live);
const exercises = [...document.querySelectorAll("[data-exercise]")];
if (exercises.length) progress(exercises);
for (const block of document.querySelectorAll(".language-pycon")) {
  if (!block.closest("[data-copy]")) {
    block.dataset.copy = code(block.querySelector("code")?.textContent ?? "");
  }
}

// Material gives each copy button a landmark of its own, dozens to a page and all without a name.
new MutationObserver(() => {
  document.querySelectorAll(".md-code__nav:not([role])").forEach((nav) => {
    nav.setAttribute("role", "none");
  });
}).observe(document.body, { childList: true, subtree: true });

// Material lets wide tables scroll; what scrolls has to be within a keyboard's reach.
function reach() {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0;
    else wrap.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true); // a table that was folded had no width
