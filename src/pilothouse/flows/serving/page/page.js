// The page of a served flow: asks, shows the answer as it comes, keeps the history, sends feedback.
// Everything that a flow says becomes text, never markup.

import { element, field, imageAddress } from "./form.js";

const facts = JSON.parse(document.body.dataset.facts);
const chat = facts.chat;
const [log, form, message, go, stop, hint, fresh] = ["log", "ask", "message", "go", "stop", "hint", "fresh"].map((id) =>
  document.getElementById(id),
);
const fields = facts.inputs.filter((input) => input.name !== chat?.question).map((input) => field(input, facts.vision));
let history = structuredClone(chat?.begun ?? []);
let running = null;

function build() {
  const more = document.getElementById("more");
  const place = chat ? more.querySelector(".fields") : document.getElementById("fields");
  place.append(...fields.map((item) => item.node));
  more.hidden = !chat || !fields.length;
  more.open = chat !== null && facts.inputs.some((input) => input.required && input.name !== chat.question && input.default === null);
  message.hidden = !chat;
  fresh.hidden = !chat;
  go.textContent = chat ? "Send" : "Run";
  hint.textContent = chat ? "Enter sends, Shift+Enter begins a line, Escape stops" : "Escape stops";
  (chat ? message : form.querySelector("input, textarea, select") ?? go).focus();
}

async function read() {
  const values = {};
  for (const item of fields) {
    const value = await item.read();
    if (value !== undefined) values[item.name] = value;
  }
  return values;
}

async function ask() {
  const said = message.value.trim();
  if (running || (chat && !said)) return;
  hint.textContent = "";
  let inputs;
  try {
    inputs = await read();
  } catch (problem) {
    hint.textContent = problem.message;
    return;
  }
  if (chat) Object.assign(inputs, { [chat.question]: said, [chat.history]: history });
  const turn = begin(chat ? said : null);
  message.value = "";
  grow();
  running = new AbortController();
  busy(true);
  try {
    const outputs = await score(inputs, turn, running.signal);
    if (chat && outputs) keep(said, outputs);
  } catch (problem) {
    fail(turn, problem.name === "AbortError" ? "stopped" : problem.message);
  } finally {
    turn.answer.classList.remove("working");
    running = null;
    busy(false);
    (chat ? message : go).focus();
  }
}

function busy(is) {
  go.disabled = is;
  stop.hidden = !is;
}

function begin(said) {
  const answer = element("div", { className: "answer working" });
  const facts = element("div", { className: "facts" });
  const turn = element("section", { className: "turn" }, answer, facts);
  if (said !== null) turn.prepend(element("div", { className: "said", textContent: said }));
  log.append(turn);
  log.scrollTop = log.scrollHeight;
  return { answer, facts, outputs: {}, nodes: {} };
}

// Returns the outputs; null when the flow failed.
async function score(inputs, turn, signal) {
  const response = await fetch("score", {
    method: "POST",
    signal,
    headers: {
      "content-type": "application/json",
      accept: "text/event-stream, application/json",
      "x-pilothouse-details": "1",
    },
    body: JSON.stringify(inputs),
  });
  const kind = response.headers.get("content-type") ?? "";
  const parent = response.headers.get("traceparent");
  if (kind.startsWith("text/event-stream")) return stream(response, turn, parent);
  const body = kind.startsWith("application/json") ? await response.json() : { error: { message: await response.text() } };
  if (!response.ok) {
    fail(turn, body.error?.message ?? response.statusText, body.error?.node);
    tell(turn, { trace_id: body.error?.trace_id ?? response.headers.get("x-trace-id") }, parent);
    return null;
  }
  const isMapping = body !== null && typeof body === "object" && !Array.isArray(body);
  add(turn, isMapping && !imageAddress(body) ? body : { output: body });
  tell(turn, {
    input_tokens: Number(response.headers.get("x-input-tokens")),
    output_tokens: Number(response.headers.get("x-output-tokens")),
    duration: Number(response.headers.get("x-duration-ms")) / 1000,
    trace_id: response.headers.get("x-trace-id"),
  }, parent);
  return turn.outputs;
}

async function stream(response, turn, parent) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let failed = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = /^event: (.*)$/m.exec(part)?.[1] ?? "";
      const data = JSON.parse(/^data: (.*)$/m.exec(part)[1]);
      if (event === "end") tell(turn, data, parent);
      else if (event === "error") failed = fail(turn, data.error.message, data.error.node);
      else add(turn, data);
    }
  }
  return failed ? null : turn.outputs;
}

function add(turn, outputs) {
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  for (const [name, value] of Object.entries(outputs)) {
    const isMore = typeof value === "string" && typeof turn.outputs[name] === "string";
    turn.outputs[name] = isMore ? turn.outputs[name] + value : value;
    const node = (turn.nodes[name] ??= slot(turn, name));
    const image = imageAddress(value);
    if (image) node.append(element("img", { src: image, alt: `image ${name}` }));
    else if (isMore) node.append(value);
    else node.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  }
  if (follows) log.scrollTop = log.scrollHeight;
}

function slot(turn, name) {
  const node = element("div", { className: "value" });
  const named = name === chat?.answer || (facts.outputs.length <= 1 && !chat) ? [] : [element("div", { className: "name", textContent: name })];
  // The answer stands above what comes beside it.
  if (name === chat?.answer) turn.answer.prepend(node);
  else turn.answer.append(...named, node);
  return node;
}

function fail(turn, text, node) {
  turn.answer.classList.add("failed");
  const place = node && !text.includes(`'${node}'`) ? `node '${node}': ` : "";
  turn.answer.append(element("div", { className: "error", textContent: place + text }));
  log.scrollTop = log.scrollHeight;
  return true;
}

function tell(turn, told, parent) {
  const said = [];
  if (Number.isFinite(told.duration)) said.push(`${told.duration.toFixed(2)} s`);
  if (told.input_tokens || told.output_tokens) said.push(`${told.input_tokens} tokens in, ${told.output_tokens} out`);
  turn.facts.append(...said.map((text) => element("span", { textContent: text })));
  if (told.trace_id) turn.facts.append(element("span", { textContent: "trace " }, element("code", { textContent: told.trace_id })));
  if (parent) turn.facts.append(...thumbs(parent));
  log.scrollTop = log.scrollHeight;
}

function thumbs(parent) {
  const buttons = [["up", "Helpful"], ["down", "Not helpful"]].map(([thumb, text]) => {
    const button = element("button", { type: "button", textContent: text });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", async () => {
      const headers = { "content-type": "application/json", traceparent: parent };
      const response = await fetch("feedback?flatten=true", { method: "POST", headers, body: JSON.stringify({ thumb }) });
      if (!response.ok) hint.textContent = `the feedback was not taken: ${response.statusText}`;
      for (const other of response.ok ? buttons : []) other.setAttribute("aria-pressed", String(other === button));
    });
    return button;
  });
  return buttons;
}

function keep(said, outputs) {
  const answer = outputs[chat.answer] ?? outputs;
  if (chat.openai) history.push({ role: "user", content: said }, { role: "assistant", content: answer });
  else history.push({ inputs: { [chat.question]: said }, outputs });
}

function grow() {
  message.style.height = "auto";
  message.style.height = `${message.scrollHeight + 2}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
message.addEventListener("input", grow);
message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    ask();
  }
});
document.addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
stop.addEventListener("click", () => running?.abort());
fresh.addEventListener("click", () => {
  running?.abort();
  history = structuredClone(chat.begun);
  log.replaceChildren();
  message.focus();
});
build();
