// The counter of an office: what it asks of whoever comes, the question on the screen, and
// what was counted today. What is asked and counted the judge knows; here it is shown and
// stored.

import { $, ask, bytes, draw, headed, item, memory, notice, offer, say } from "./common.js";

let settings = {};
let page = {}; // what the rest of the page does
let view = null; // the counter as the judge tells it

// ---- the diary: counts and hashes, shared by all tabs of this page ----

let revision = "";

// within runs what changes the diary while no other tab does.
export function within(work) {
  const run = async () => {
    const stored = await memory.get("desk", "diary").catch(() => undefined);
    if ((stored?.revision ?? "") !== revision) {
      await ask("restore-diary", stored?.text ?? "").catch(() => {});
      revision = stored?.revision ?? "";
    }
    const answer = await work();
    if (answer?.counted) await keep().catch(() => {});
    return answer;
  };
  return navigator.locks ? navigator.locks.request("diary", run) : run();
}

async function keep() {
  const { diary } = await ask("diary");
  const next = [...crypto.getRandomValues(new Uint8Array(8))].join(".");
  await memory.put("desk", { diary: { revision: next, text: diary } });
  revision = next;
}

// ---- the counter ----

export async function beginDesk(from, functions) {
  settings = from;
  page = functions;
  wire();
  await ask("uploads", settings.tallies ? "yes" : "no");
  await within(async () => null);
  const counter = await memory.get("desk", "counter").catch(() => null);
  if (counter) {
    const set = await ask("set", counter);
    if (set.refused) notice(set.sentence);
  }
  await showDesk();
}

// showDesk shows what is set up, in the language of now.
export async function showDesk() {
  view = await ask("counter");
  $("at").textContent = view.summary;
  $("at").hidden = !view.summary;
  asking();
  if (!$("counter").hidden) fill();
  if (!$("tally").hidden) await showTally();
}

function open(id) {
  for (const panel of ["counter", "tally"]) {
    $(panel).hidden = panel !== id;
    document.querySelector(`[aria-controls=${panel}]`).setAttribute("aria-expanded", String(panel === id));
  }
  $(id).querySelector("h2").focus();
}

export function closeDesk() {
  for (const id of ["counter", "tally"]) {
    $(id).hidden = true;
    document.querySelector(`[aria-controls=${id}]`).setAttribute("aria-expanded", "false");
  }
  for (const id of ["office", "type", "claim-boxes", "days"]) $(id).replaceChildren(); // made anew, in the language of then
}

function option(value, text) { return new Option(text, value); }

// fill puts the counter into the form.
function fill() {
  const { counter } = view;
  const unlisted = counter.verifier && !view.registered;
  $("office").replaceChildren(option("", say("counter.none")), ...view.verifiers.map((v) => option("=" + v.id, v.name)), option("?", say("counter.unlisted")));
  $("office").value = unlisted ? "?" : counter.verifier ? "=" + counter.verifier : "";
  $("office-id").value = counter.verifier ?? "";
  for (const radio of document.getElementsByName("asks")) radio.checked = radio.value === (counter.asks ?? "");
  $("purpose").value = counter.purpose ?? "";
  $("names").value = (counter.names ?? []).join("\n");
  $("once").checked = Boolean(counter.once);
  $("once-key").value = counter.once ?? "";
  $("once-code").hidden = true;
  types(counter.type ?? "", counter.claims ?? []);
  depend();
}

// types offers what the office may ask for.
function types(type, claims) {
  const office = view.verifiers.find((v) => "=" + v.id === $("office").value);
  const asks = office?.asks ?? view.any;
  $("type").replaceChildren(option("", say("counter.type.any")), ...asks.map((t) => option(t.id, t.name)));
  $("type").value = asks.some((t) => t.id === type) ? type : "";
  const boxes = (asks.find((t) => t.id === $("type").value)?.claims ?? []).map((c) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = c.id;
    box.checked = claims.includes(c.id);
    const name = document.createElement("bdi");
    name.textContent = c.name;
    label.className = "tick";
    label.append(box, name);
    return label;
  });
  $("claim-boxes").replaceChildren(...boxes);
}

// depend shows the parts of the form that belong to what was chosen.
function depend() {
  const asks = document.querySelector("[name=asks]:checked")?.value ?? "";
  $("by-id").hidden = $("office").value !== "?";
  $("claims").hidden = asks !== "question" || !$("claim-boxes").children.length;
  $("why").hidden = asks !== "question";
  $("once-more").hidden = !$("once").checked;
  $("once-show").hidden = !view.counter.once;
  $("upload-row").hidden = !settings.tallies;
  $("page-key").hidden = view.counter.asks !== "question";
}

// chosen is what the form says.
async function chosen() {
  const office = $("office").value;
  const once = $("once").checked ? $("once-key").value.trim() || (await ask("key")).key : "";
  return {
    verifier: office === "?" ? $("office-id").value.trim() : office.slice(1),
    asks: document.querySelector("[name=asks]:checked")?.value ?? "",
    type: $("type").value,
    claims: [...$("claim-boxes").querySelectorAll(":checked")].map((b) => b.value),
    purpose: $("purpose").value.trim(),
    names: $("names").value.split("\n").map((n) => n.trim()).filter(Boolean),
    once,
  };
}

async function set(counter) {
  const text = JSON.stringify(counter);
  const done = await ask("set", text);
  if (done.refused) {
    notice(done.sentence);
    return false;
  }
  await memory.put("desk", { counter: text });
  await showDesk();
  notice(say("counter.saved"));
  return true;
}

// found offers to set up what was scanned: a poster, or the key for counting once.
let offered = null;

export function found(what) {
  notice(what.counter ? "" : what.text);
  offered = what.counter ?? null;
  $("found").hidden = !offered;
  $("found-text").textContent = what.text;
  if (offered) $("found-yes").focus();
}

// ---- the question on the screen ----

let countdown = 0;

// asking shows the button to ask, if this counter asks.
export function asking() {
  const asks = view?.counter.asks === "question";
  $("asking").hidden = !asks;
  if (!asks) answered();
}

// answered takes the question off the screen.
export function answered() {
  clearInterval(countdown);
  $("question").hidden = true;
  $("question-code").replaceChildren();
  delete $("question-code").dataset.text;
  $("ask").textContent = say("ask");
  $("ask").dataset.say = "ask";
}

// pageKey is the key of this page, which no script can read.
async function pageKey() {
  let pair = await memory.get("desk", "key");
  if (!pair) {
    pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    await memory.put("desk", { key: pair });
  }
  return { pair, point: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

async function question() {
  notice("");
  answered(); // the question before is over
  const { pair, point } = await pageKey();
  const draft = await ask("draft", point);
  if (!draft.to_be_signed) return;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, bytes(draft.to_be_signed));
  const code = await ask("question", new Uint8Array(signature));
  draw($("question-code"), code);
  $("question-code").dataset.text = code.text;
  $("question").hidden = false;
  $("ask").textContent = say("ask.again");
  $("ask").dataset.say = "ask.again";
  $("unlisted").hidden = draft.listed;
  const end = performance.now() + code.seconds * 1000;
  const tick = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left > 0) {
      $("left").textContent = say("ask.left", { seconds: new Intl.NumberFormat(document.documentElement.lang).format(left) });
    } else {
      answered();
      notice(say("ask.over"));
    }
  };
  clearInterval(countdown);
  countdown = setInterval(tick, 1000);
  tick();
  if (navigator.mediaDevices?.getUserMedia) await page.start();
}

async function saveKey() {
  const { key } = await ask("draft", (await pageKey()).point);
  offer("counter.jwk", "application/json", key + "\n");
  asking();
}

// ---- the tally ----

let lastTally = null;

async function showTally() {
  const tally = await within(() => ask("tally"));
  lastTally = tally;
  const days = tally.days.map((day) => {
    const part = document.createElement("div");
    part.append(headed(day.day));
    if (day.rows.length) part.append(grid(day, tally.verdicts));
    const notes = document.createElement("ul");
    notes.append(...day.notes.map(item));
    if (day.notes.length) part.append(notes);
    return part;
  });
  $("days").replaceChildren(...days);
  $("none").hidden = days.length > 0;
  for (const id of ["save", "clear"]) $(id).hidden = !days.length;
  $("send").hidden = !days.length || !settings.tallies;
}

// grid is a table that scrolls by itself where the window is too narrow.
function grid(day, verdicts) {
  const box = document.createElement("div");
  const table = document.createElement("table");
  const row = (cells, tag, into) => {
    const tr = into.insertRow();
    cells.forEach((text, i) => {
      const cell = document.createElement(i < 2 || tag === "th" ? "th" : "td");
      if (tag === "th") cell.scope = "col";
      else if (i < 2) cell.scope = "row";
      const bdi = document.createElement("bdi");
      bdi.textContent = text;
      cell.append(bdi);
      tr.append(cell);
    });
  };
  row([say("tally.hour"), say("counter.type"), ...verdicts], "th", table.createTHead());
  const body = table.createTBody();
  for (const r of day.rows) row([r.hour, r.type, ...r.counts], "td", body);
  row([say("tally.total"), "–", ...day.total], "td", table.createTFoot());
  box.className = "scroll";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", day.day);
  box.append(table);
  return box;
}

// upload sends what the server does not have. Without a connection all stays as it is.
export async function upload(asked) {
  if (!settings.tallies) return;
  const key = await memory.get("desk", "upload").catch(() => "");
  let said = "tally.done";
  for (const { id, weight, body } of await within(() => ask("pending"))) {
    let response;
    try {
      const headers = { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
      response = await fetch(settings.tallies, { method: "POST", headers, body, cache: "no-store", credentials: "omit" });
    } catch {
      said = "tally.failed";
      break;
    }
    if (response.ok) {
      const answer = await response.text();
      await within(async () => ({ counted: true, ...(await ask("uploaded", id, String(weight), answer)) }));
      continue;
    }
    if (response.status === 404) { // this server takes none: nothing waits for it
      settings.tallies = "";
      await ask("uploads", "no");
      return;
    }
    said = response.status === 401 || response.status === 403 ? "tally.key" : "tally.failed";
    break;
  }
  if (asked) notice(say(said));
  if (!$("tally").hidden) await showTally();
}

let sure = -Infinity; // when it was asked

async function clear() {
  if (performance.now() - sure > 10_000) {
    sure = performance.now();
    notice(say("tally.sure"));
    return;
  }
  sure = -Infinity;
  await within(async () => ({ counted: true, ...(await ask("clear")) }));
  notice("");
  await showTally();
}

function wire() {
  for (const id of ["counter", "tally"]) {
    document.querySelector(`[aria-controls=${id}]`).onclick = async () => {
      if (!$(id).hidden) {
        closeDesk();
        return;
      }
      notice("");
      page.closeTrust();
      closeDesk();
      // Drawn before it is seen: what grows then moves buttons from under the finger.
      if (id === "counter") {
        fill();
        $("upload").value = (await memory.get("desk", "upload").catch(() => "")) ?? "";
      } else await showTally();
      open(id);
    };
    $(id).querySelector(".close").onclick = () => {
      closeDesk();
      document.querySelector(`[aria-controls=${id}]`).focus();
    };
  }
  $("setup").onchange = ({ target }) => {
    if (target.id === "office") $("office-id").value = "";
    if (target.id === "office" || target.id === "type") types($("type").value, []);
    depend();
  };
  $("setup").onsubmit = async (event) => {
    event.preventDefault();
    await memory.put("desk", { upload: $("upload").value.trim() });
    if (await set(await chosen())) scrollTo(0, 0);
  };
  $("once-show").onclick = async () => {
    draw($("once-code"), await ask("key-code"));
    $("once-code").hidden = false;
  };
  $("save-key").onclick = saveKey;
  $("found-yes").onclick = async () => {
    $("found").hidden = true;
    if (offered) await set(offered);
    offered = null;
  };
  $("found-no").onclick = () => {
    $("found").hidden = true;
    offered = null;
  };
  $("ask").onclick = question;
  $("save").onclick = () => offer("tally.csv", "text/csv", lastTally.csv);
  $("clear").onclick = clear;
  $("send").onclick = () => upload(true);
  $("ask").disabled = false;
}
