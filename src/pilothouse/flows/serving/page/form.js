// Fields for the inputs of a flow: one control for each type, and the value that it stands for.

const NUMBERS = new Set(["int", "double"]);
const JSONS = new Set(["list", "object"]);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Returns {node, read, clear}; `read` throws an Error that says what is wrong with the value.
export function field(input, vision) {
  const control = controlFor(input);
  const remark = [input.type, input.required ? "" : "optional", input.description].filter(Boolean).join(" \u00b7 ");
  const note = element("small", { textContent: remark });
  const isFlag = input.type === "bool" && control.type === "checkbox";
  const title = element("span", { textContent: input.name });
  const node = element("label", { className: isFlag ? "flag" : "" }, ...(isFlag ? [control, title] : [title, control]), note);
  control.addEventListener("input", () => control.removeAttribute("aria-invalid"));
  const read = async () => {
    try {
      return await valueOf(input, control, vision);
    } catch (problem) {
      control.setAttribute("aria-invalid", "true");
      control.focus();
      throw problem;
    }
  };
  return { name: input.name, node, read };
}

function controlFor(input) {
  const given = input.default;
  if (input.enum.length) {
    const choices = input.enum.map((item) => element("option", { textContent: String(item), selected: item === given }));
    return element("select", { name: input.name }, ...choices);
  }
  if (input.type === "image") return element("input", { type: "file", accept: "image/*", name: input.name });
  if (input.type === "bool") return element("input", { type: "checkbox", name: input.name, checked: given === true });
  if (NUMBERS.has(input.type)) {
    const step = input.type === "int" ? "1" : "any";
    return element("input", { type: "number", step, name: input.name, value: given ?? "" });
  }
  if (JSONS.has(input.type)) {
    const short = JSON.stringify(given) ?? "";
    const value = given === null ? "" : short.length < 60 ? short : JSON.stringify(given, null, 2);
    const placeholder = input.type === "list" ? "[]" : "{}";
    return element("textarea", { className: "json", rows: 3, name: input.name, value, placeholder, spellcheck: false });
  }
  const value = given === null || given === undefined ? "" : typeof given === "string" ? given : JSON.stringify(given);
  return element("textarea", { rows: 2, name: input.name, value });
}

// Undefined leaves the input to its default.
async function valueOf(input, control, vision) {
  if (input.type === "image") return imageOf(input, control, vision);
  if (control.type === "checkbox") return control.checked;
  if (input.enum.length) return input.enum[control.selectedIndex];
  const text = control.value;
  if (text.trim() === "" && (!input.required || input.type !== "string")) {
    if (input.required) throw new Error(`${input.name} is missing: a value of the type ${input.type}`);
    return undefined;
  }
  if (NUMBERS.has(input.type)) {
    const number = Number(text);
    if (!Number.isFinite(number) || (input.type === "int" && !Number.isInteger(number))) {
      throw new Error(`${input.name} is not of the type ${input.type}`);
    }
    return number;
  }
  if (!JSONS.has(input.type)) return text;
  let value;
  try {
    value = JSON.parse(text);
  } catch (problem) {
    throw new Error(`${input.name} is not JSON: ${problem.message}`);
  }
  if (typeof value !== "object" || Array.isArray(value) !== (input.type === "list")) {
    throw new Error(`${input.name} is not of the type ${input.type}`);
  }
  return value;
}

async function imageOf(input, control, vision) {
  const file = control.files[0];
  if (!file) {
    if (input.required) throw new Error(`${input.name} is missing: choose an image`);
    return undefined;
  }
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  if (vision) return { type: "image_url", image_url: { url } };
  return { [`data:${file.type};base64`]: url.slice(url.indexOf(",") + 1) };
}

// The address of the image that a value is; null for everything else. Only forms that cannot run anything.
export function imageAddress(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
  const url = value.type === "image_url" ? value.image_url?.url : fromKey(value);
  return typeof url === "string" && /^(data:image\/|https:\/\/)/i.test(url) ? url : null;
}

function fromKey(value) {
  const keys = Object.keys(value);
  const match = keys.length === 1 && /^data:(image\/[^;]+);(base64|url)$/i.exec(keys[0]);
  if (!match) return null;
  return match[2].toLowerCase() === "url" ? value[keys[0]] : `data:${match[1]};base64,${value[keys[0]]}`;
}
