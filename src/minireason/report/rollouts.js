// What can be asked of the samples. No page here: plain values in, plain values out.

// The rows of the page's data as objects; `question` is the question itself.
const unpack = (data) => data.samples.map((row, number) => {
  const sample = Object.fromEntries(data.fields.map((name, i) => [name, row[i]]));
  const names = data.reward_names[sample.reward_names];
  return {
    ...sample,
    number,
    question: data.questions[sample.question],
    rewards: names.map((name, i) => [name, sample.reward_parts[i] ?? null]),
    is_learnt: sample.advantage !== null,
    is_truncated: sample.finish_reason === "length",
  };
});

// A bound that is not set is ""; a value that is not known, or no number, is in no range.
const isWithin = (value, least, most) => {
  if (least === "" && most === "") return true;
  const number = value === null ? NaN : Number(value);
  return !Number.isNaN(number) && (least === "" || number >= Number(least))
    && (most === "" || number <= Number(most));
};

const agrees = (wanted, isSo) => wanted === "" || (wanted === "yes") === isSo;

const contains = (sample, words, where) => {
  const { id, text } = sample.question;
  const texts = where === "response" ? [sample.start, sample.end] : [id, text];
  return texts.some((found) => found.toLowerCase().includes(words));
};

// `filter` holds the form's fields as texts; "" asks for nothing.
const matches = (sample, filter) =>
  (filter.step === "" || sample.step === Number(filter.step))
  && (filter.verdict === "" || sample.verdict === filter.verdict)
  && agrees(filter.learnt, sample.is_learnt)
  && agrees(filter.truncated, sample.is_truncated)
  && isWithin(sample.reward, filter.least_reward, filter.most_reward)
  && isWithin(sample.num_tokens, filter.least_tokens, filter.most_tokens)
  && (filter.search === "" || contains(sample, filter.search.toLowerCase(), filter.where));

// By a field, upwards (1) or downwards (-1); what is unknown or no number comes last, and equal
// values by step, newest first, in the order in which they were stored.
const ordered = (samples, key, direction) => {
  const isText = key === "id" || key === "verdict";
  const value = (sample) => {
    if (isText) return key === "id" ? sample.question.id : sample.verdict;
    return typeof sample[key] === "number" ? sample[key] : null;
  };
  const compare = (a, b) => (isText ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return [...samples].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) {
      if (x !== y) return x === null ? 1 : -1;
    } else if (compare(x, y) !== 0) return direction * compare(x, y);
    return b.step - a.step || a.number - b.number;
  });
};

const shareCorrect = (samples) =>
  samples.filter((sample) => sample.verdict === "correct").length / samples.length;

// The samples of every question, by step: those asked at the most steps first, then those whose
// share of correct responses changed most from the first step to the last.
const stories = (samples) => {
  const found = new Map();
  for (const sample of samples) {
    const steps = found.get(sample.question) ?? found.set(sample.question, new Map()).get(sample.question);
    (steps.get(sample.step) ?? steps.set(sample.step, []).get(sample.step)).push(sample);
  }
  return [...found].map(([question, byStep]) => {
    const steps = [...byStep].sort(([a], [b]) => a - b);
    const [first, last] = [shareCorrect(steps[0][1]), shareCorrect(steps.at(-1)[1])];
    return { question, steps, first, last };
  }).sort((a, b) => b.steps.length - a.steps.length
    || Math.abs(b.last - b.first) - Math.abs(a.last - a.first));
};

const signed = (value) => {
  if (typeof value !== "number") return value ?? "–";
  return `${value < 0 ? "−" : value > 0 ? "+" : ""}${Math.abs(value).toFixed(2)}`;
};
const plain = (value) => (typeof value === "number" ? value.toLocaleString("en") : value ?? "–");
const percent = (share) => `${Math.round(100 * share)} %`;
const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
