// The rollout browser. A response is hostile text: it enters the page as text nodes alone.
const PAGE = 100, STEPS_AT_ONCE = 12;
const at = (id) => document.getElementById(id);
const data = JSON.parse(at("data").textContent);
const samples = unpack(data), told = stories(samples);
const view = { found: [], page: 0, chosen: null, key: "step", direction: -1 };

const element = (tag, style, ...children) => {
  const node = document.createElement(tag);
  if (style) node.className = style;
  node.append(...children);
  return node;
};
const MARKS = { correct: "✓", incorrect: "✗" };
const badge = (sample) => element("span", `badge ${MARKS[sample.verdict] ? sample.verdict : "unknown"}`,
  `${MARKS[sample.verdict] ?? "?"} ${sample.verdict}`);
const tone = (value) => (value > 0 ? "n up" : value < 0 ? "n down" : "n");

const responseOf = (sample) => {
  const text = element("pre", "", sample.start);
  text.tabIndex = 0;
  if (sample.left_out) {
    text.append(element("span", "gap",
      `${plain(sample.left_out)} characters are left out; ${data.files[sample.step]} holds them`), sample.end);
  }
  return text;
};

const read = () => Object.fromEntries(
  [...new FormData(at("filters"))].map(([name, value]) => [name, value.trim()]));

const update = () => {
  const filter = read();
  view.found = ordered(samples.filter((sample) => matches(sample, filter)), view.key, view.direction);
  view.page = 0;
  const correct = view.found.length ? `, ${percent(shareCorrect(view.found))} correct` : "";
  const tokens = view.found.length ? `, ${plain(Math.round(mean(view.found.map((s) => s.num_tokens))))} tokens on average` : "";
  at("count").textContent = `${plain(view.found.length)} of ${plain(samples.length)} responses${correct}${tokens}`;
  showPage();
  choose(view.found[0] ?? null);
};

const showPage = () => {
  const from = view.page * PAGE, rows = view.found.slice(from, from + PAGE);
  const last = Math.max(0, Math.ceil(view.found.length / PAGE) - 1);
  at("rows").replaceChildren(...rows.map(rowOf));
  at("rows").closest(".rows").scrollTop = 0;
  at("place").textContent = rows.length
    ? `${plain(from + 1)} to ${plain(from + rows.length)} of ${plain(view.found.length)}` : "Nothing matches.";
  at("previous").disabled = view.page === 0;
  at("next").disabled = view.page === last;
  for (const head of document.querySelectorAll("[data-key]")) {
    const isKey = head.dataset.key === view.key;
    head.ariaSort = isKey ? (view.direction > 0 ? "ascending" : "descending") : "none";
  }
};

const lastLine = (sample) => (sample.end || sample.start).trim().slice(-160).split("\n").at(-1);

const rowOf = (sample) => {
  const text = element("td", "asked",
    element("bdi", "", sample.question.text.slice(0, 160)),
    element("small", "", lastLine(sample)));
  const row = element("tr", "",
    element("td", "", badge(sample), sample.is_truncated ? element("small", "", "cut off") : ""),
    element("td", "n", plain(sample.step)), text,
    element("td", tone(sample.reward), signed(sample.reward)),
    element("td", tone(sample.advantage), signed(sample.advantage)),
    element("td", "n", plain(sample.num_tokens)),
    element("td", "n", signed(sample.mean_logprob)));
  row.tabIndex = -1;
  row.sample = sample;
  row.addEventListener("click", () => {
    choose(sample, true);
    at("detail").scrollIntoView({ block: "nearest" });
  });
  return row;
};

const choose = (sample, hasFocus = false) => {
  view.chosen = sample;
  for (const row of at("rows").children) {
    const isChosen = row.sample === sample;
    row.ariaSelected = String(isChosen);
    row.tabIndex = isChosen ? 0 : -1;
    if (isChosen && hasFocus) row.focus();
  }
  at("detail").replaceChildren(...(sample ? detailOf(sample) : []));
  at("detail").scrollTop = 0;
};

const facts = (pairs) => element("dl", "facts",
  ...pairs.map(([name, value]) => element("div", "", element("dt", "", name), element("dd", "", value))));

const detailOf = (sample) => {
  const watch = element("button", "", "Watch this question over steps");
  watch.addEventListener("click", () => tell(sample.question, true));
  const parts = sample.rewards.length > 1 || sample.reward === null
    ? sample.rewards.map(([name, value]) => [name, signed(value)]) : [];
  return [
    element("h3", "", badge(sample), ` Step ${plain(sample.step)}`,
      element("span", "", element("bdi", "", sample.question.id), `, response ${sample.index}`)),
    element("p", "ask", sample.question.text),
    element("p", "truth", "Answer ", element("code", "", sample.question.answer), " · read as ",
      sample.extracted ? element("code", "", sample.extracted) : "nothing"),
    facts([
      ["reward", signed(sample.reward)], ...parts, ["advantage", signed(sample.advantage)],
      ["tokens", plain(sample.num_tokens)], ["ended by", sample.finish_reason],
      ["temperature", plain(sample.temperature)], ["mean logprob", signed(sample.mean_logprob)],
      ["lag", `${sample.lag} updates`],
    ]),
    responseOf(sample), watch,
  ];
};

const turn = (by) => {
  const page = view.page + by;
  if (page < 0 || page * PAGE >= view.found.length) return false;
  view.page = page;
  showPage();
  return true;
};

// Down from the last row goes on with the next page.
const step = (by) => {
  const rows = [...at("rows").children];
  const place = rows.findIndex((row) => row.sample === view.chosen) + by;
  if (rows[place]) choose(rows[place].sample, true);
  else if (turn(by)) choose(at("rows").children[by > 0 ? 0 : PAGE - 1].sample, true);
};

const page = (by) => turn(by) && choose(at("rows").children[0].sample, true);
const KEYS = {
  ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
  ArrowRight: () => page(1), ArrowLeft: () => page(-1), Enter: () => at("detail").focus(),
};

at("rows").addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
  if (event.key === "/") {
    event.preventDefault();
    at("filters").elements.search.focus();
  } else if (event.key === "w" && view.chosen) tell(view.chosen.question, true);
});
at("filters").addEventListener("input", update);
at("filters").addEventListener("reset", () => setTimeout(update));
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("previous").addEventListener("click", () => page(-1));
at("next").addEventListener("click", () => page(1));
for (const head of document.querySelectorAll("[data-key]")) {
  head.firstChild.addEventListener("click", () => {
    const isKey = head.dataset.key === view.key;
    view.direction = isKey ? -view.direction : head.dataset.key === "id" ? 1 : -1;
    view.key = head.dataset.key;
    update();
  });
}

// One question over steps.
const tell = (question, isCalled = false) => {
  const place = told.findIndex((story) => story.question === question);
  at("question").value = String(place);
  at("before").disabled = place === 0;
  at("after").disabled = place === told.length - 1;
  const { steps, first, last } = told[place];
  const responses = steps.reduce((count, [, group]) => count + group.length, 0);
  at("story").replaceChildren(
    element("p", "ask", question.text),
    element("p", "truth", "Answer ", element("code", "", question.answer),
      ` · ${plain(responses)} responses at ${plain(steps.length)} steps · correct ${percent(first)} → ${percent(last)}`),
    dots(steps));
  more(steps, 0);
  if (isCalled) {
    at("watch").scrollIntoView();
    at("question").focus({ preventScroll: true });
  }
};

const more = (steps, from) => {
  const to = Math.min(steps.length, from + STEPS_AT_ONCE);
  at("story").append(...steps.slice(from, to).map(([number, group]) => chapter(number, group)));
  if (to === steps.length) return;
  const button = element("button", "more", `Show more of the other ${plain(steps.length - to)} steps`);
  button.addEventListener("click", () => {
    button.remove();
    more(steps, to);
  });
  at("story").append(button);
};

const chapter = (number, group) => {
  const rewards = group.map((sample) => sample.reward).filter((reward) => typeof reward === "number");
  const right = group.filter((sample) => sample.verdict === "correct").length;
  const tokens = plain(Math.round(mean(group.map((sample) => sample.num_tokens))));
  const head = element("h3", "", `Step ${plain(number)}`,
    element("span", "", `${right} of ${group.length} correct · mean reward ${signed(mean(rewards))} · ${tokens} tokens`));
  const answers = element("div", "answers", ...group.map(answerOf));
  answers.tabIndex = 0;
  answers.role = "region";
  answers.ariaLabel = `Responses of step ${number}`;
  return element("section", "chapter", head, answers);
};

const answerOf = (sample) => element("section", "answer",
  element("h4", "", badge(sample), element("span", "fine", `${plain(sample.num_tokens)} tokens`)),
  element("p", "said", `reward ${signed(sample.reward)} · `,
    sample.is_learnt ? `advantage ${signed(sample.advantage)}` : "not learnt from",
    sample.is_truncated ? " · cut off" : "", element("br"),
    ...(sample.extracted ? ["read as ", element("code", "", sample.extracted)] : ["no answer found"])),
  responseOf(sample));

// Every response as a dot: its step to the right, its tokens upwards; filled where it is correct.
const dots = (steps) => {
  const [width, height, left, bottom] = [1100, 170, 44, 146];
  const all = steps.flatMap(([, group]) => group);
  const top = Math.max(1, ...all.map((sample) => sample.num_tokens));
  const [low, high] = [steps[0][0], steps.at(-1)[0]];
  const x = (number) => left + 40 + (high > low ? (number - low) / (high - low) : 0.5) * (width - left - 80);
  const y = (tokens) => bottom - (tokens / top) * (bottom - 12);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "dots", "aria-label": "Tokens of every response over steps" });
  for (const tokens of [0, top]) {
    svg.append(draw("line", { x1: left, x2: width, y1: y(tokens), y2: y(tokens), class: "grid" }),
      draw("text", { x: left - 7, y: y(tokens) + 4, "text-anchor": "end" }, plain(tokens)));
  }
  for (const [number] of steps.length > 14 ? [steps[0], steps.at(-1)] : steps) {
    svg.append(draw("text", { x: x(number), y: height - 4, "text-anchor": "middle" }, `step ${plain(number)}`));
  }
  const gaps = steps.slice(1).map(([number], i) => x(number) - x(steps[i][0]));
  const pitch = Math.min(9, 0.8 * Math.min(width, ...gaps) / Math.max(...steps.map(([, group]) => group.length)));
  for (const [place, sample] of steps.flatMap(([, group]) => group.map((one, i) => [i - (group.length - 1) / 2, one]))) {
    const dot = draw("circle", { cx: (x(sample.step) + pitch * place).toFixed(1), cy: y(sample.num_tokens).toFixed(1), r: 4, class: MARKS[sample.verdict] ? sample.verdict : "unknown" });
    dot.append(draw("title", {}, `step ${sample.step}: ${sample.verdict}, ${plain(sample.num_tokens)} tokens, reward ${signed(sample.reward)}`));
    svg.append(dot);
  }
  return svg;
};

const draw = (tag, attributes, text = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(text);
  return node;
};

at("question").append(...told.map(({ question, steps, first, last }, place) => {
  const seen = `${question.id} · ${steps.length} step${steps.length > 1 ? "s" : ""} · ${percent(first)} → ${percent(last)} · `;
  return new Option(seen + question.text.slice(0, 90), String(place));
}));
const walk = (by) => tell(told[Number(at("question").value) + by].question);
at("question").addEventListener("input", () => walk(0));
at("before").addEventListener("click", () => walk(-1));
at("after").addEventListener("click", () => walk(1));

at("browse").hidden = false;
at("watch").hidden = false;
update();
tell(told[0].question);
