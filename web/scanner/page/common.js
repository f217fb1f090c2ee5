// What all parts of the page use: the two workers, what is stored, words, small pieces.

export const languages = [["en", "English", "ltr"], ["fr", "Français", "ltr"], ["pt", "Português", "ltr"], ["sw", "Kiswahili", "ltr"], ["bn", "বাংলা", "ltr"], ["ar", "العربية", "rtl"]];
export const $ = (id) => document.getElementById(id);

// ---- workers: one question, one answer ----

function colleague(script) {
  const worker = new Worker(script);
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data }) => {
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  };
  return (message, transfer = []) => new Promise((resolve) => {
    waiting.set(++last, resolve);
    worker.postMessage({ id: last, ...message }, transfer);
  });
}

const judge = colleague("judge.js");
export const reader = colleague("read.js");

export async function ask(operation, ...args) {
  const answer = JSON.parse((await judge({ operation, args: [language, ...args] })).answer);
  if (answer.error) throw new Error(answer.error);
  return answer;
}

// ---- memory: the mark and the bundle, apart from each other; what a counter has ----

export const memory = {
  open: () => new Promise((resolve, reject) => {
    const request = indexedDB.open("sanad-scanner", 2);
    request.onupgradeneeded = () => {
      for (const name of ["trust", "desk"]) if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  }),
  async get(name, key) {
    const db = await this.open();
    try {
      return await new Promise((resolve, reject) => {
        const request = db.transaction(name).objectStore(name).get(key);
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    } finally {
      db.close();
    }
  },
  // put stores all of these or nothing.
  async put(name, values) {
    const db = await this.open();
    try {
      await new Promise((resolve, reject) => {
        const change = db.transaction(name, "readwrite", { durability: "strict" });
        for (const [key, value] of Object.entries(values)) change.objectStore(name).put(value, key);
        change.oncomplete = resolve;
        change.onerror = change.onabort = () => reject(change.error);
      });
    } finally {
      db.close();
    }
  },
};

export const bytes = (base64) => Uint8Array.from(atob(base64 ?? ""), (c) => c.charCodeAt(0));

export async function remember() {
  const { mark, bundle } = await ask("memory");
  if (mark) await memory.put("trust", { bundle: bytes(bundle), mark: bytes(mark) });
}

// ---- words ----

export let language = "en";
let words = {};

export function say(key, holes = {}) {
  return Object.entries(holes).reduce((text, [name, value]) => text.replace(`{${name}}`, value), words["scan." + key] ?? key);
}

export async function speak(tag) {
  const [, , direction] = languages.find(([t]) => t === tag);
  const response = await fetch(`words/${tag}.json`);
  words = await response.json();
  language = tag;
  document.documentElement.lang = tag;
  document.documentElement.dir = direction;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) if (element.id !== "summary") element.textContent = say(element.dataset.say);
  $("zoom").setAttribute("aria-label", say("zoom"));
  try { localStorage.setItem("language", tag); } catch { /* a choice that is not kept */ }
}

export function preferred() {
  let wanted = [...navigator.languages];
  try { wanted.unshift(localStorage.getItem("language") ?? ""); } catch { /* none kept */ }
  for (const tag of wanted) {
    const found = languages.find(([t]) => t === tag.split("-")[0]);
    if (found) return found[0];
  }
  return "en";
}

export function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// ---- small pieces of the page ----

export function item(text) {
  const li = document.createElement("li");
  const bdi = document.createElement("bdi");
  bdi.textContent = text;
  li.append(bdi);
  return li;
}

export function headed(text) {
  const h = document.createElement("h3");
  h.textContent = text;
  return h;
}

export function table(rows) {
  const dl = document.createElement("dl");
  for (const row of rows) {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    const bdi = document.createElement("bdi");
    dt.textContent = row.label;
    bdi.textContent = row.value + (row.partial ? ` (${say("partial")})` : "");
    if (row.direction) bdi.dir = row.direction;
    dd.append(bdi);
    dl.append(dt, dd);
  }
  return dl;
}

// draw shows a code that the judge has drawn.
export function draw(svg, { path, side }) {
  svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.replaceChildren(shape);
}

// offer gives a text to the person as a file.
export function offer(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
