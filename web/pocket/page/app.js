// The pocket page: it shows what the engine says and asks the person. What is true of a
// card, and what may be shown of it, is decided in keep.js alone.

const languages = [["en", "English", "ltr"], ["fr", "Français", "ltr"], ["pt", "Português", "ltr"], ["sw", "Kiswahili", "ltr"], ["bn", "বাংলা", "ltr"], ["ar", "العربية", "rtl"]];
const $ = (id) => document.getElementById(id);

// ---- workers: one question, one answer ----

function colleague(script) {
  let worker = null;
  const waiting = new Map();
  let last = 0;
  const settle = (id, data) => {
    waiting.get(id)?.(data);
    waiting.delete(id);
  };
  return (message, transfer = []) => new Promise((resolve) => {
    if (!worker) {
      worker = new Worker(script);
      worker.onmessage = ({ data }) => settle(data.id, data);
      worker.onerror = () => { // it cannot be loaded: next time it is tried again
        worker = null;
        for (const id of [...waiting.keys()]) settle(id, { failed: true });
      };
    }
    waiting.set(++last, resolve);
    worker.postMessage({ id: last, ...message }, transfer);
  });
}

const keeper = colleague("keep.js");
const reader = colleague("read.js");

// A Problem is what the engine says in place of an answer.
class Problem extends Error {}

async function ask(operation, ...args) {
  const { answer } = await keeper({ operation, args: [language, ...args] });
  const result = answer ? JSON.parse(answer) : { problem: { code: "internal" } };
  if (result.problem) throw Object.assign(new Problem(result.problem.detail), result.problem);
  return result;
}

// ---- words ----

let language = "en";
let words = {};

function say(key, values = {}) {
  let text = words["pocket." + key] ?? key;
  for (const [name, value] of Object.entries(values)) text = text.replace(`{${name}}`, value);
  return text;
}

// digits are those in which the engine writes dates.
function digits(n) {
  return new Intl.NumberFormat(language === "ar" ? "ar-u-nu-latn" : language).format(n);
}

async function speak(tag) {
  const [, , direction] = languages.find(([t]) => t === tag);
  words = await (await fetch(`words/${tag}.json`)).json();
  language = tag;
  document.documentElement.lang = tag;
  document.documentElement.dir = direction;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  $("readtitle").textContent = say(reading === "offer" ? "read.offer" : "read.question");
  try { localStorage.setItem("language", tag); } catch { /* a choice that is not kept */ }
}

function preferred() {
  const wanted = [...navigator.languages];
  try { wanted.unshift(localStorage.getItem("language") ?? ""); } catch { /* none kept */ }
  for (const tag of wanted) {
    const found = languages.find(([t]) => t === tag.split("-")[0]);
    if (found) return found[0];
  }
  return "en";
}

function notice(text, bad = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
  $("notice").hidden = !text;
  if (text) $("notice").scrollIntoView({ block: "nearest" });
}

// attempt does something and shows why if it is not done.
async function attempt(act) {
  notice("");
  try {
    return await act();
  } catch (problem) {
    if (!(problem instanceof Problem)) console.error(problem);
    notice([problem.sentence || say("problem.internal"), problem.advice].filter(Boolean).join(" "), true);
    return null;
  }
}

// ---- what is in view ----

let view = "home";

async function open(name) {
  if (view === "shown" && name !== "shown") await endShowing();
  if (view === "read" && name !== "read") stopCamera();
  view = name;
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== name;
  document.body.classList.toggle("showing", name === "shown");
  document.body.dataset.view = name;
  scrollTo(0, 0);
  $(name).querySelector("h2")?.focus();
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) {
    const bdi = document.createElement("bdi");
    bdi.textContent = text;
    made.append(bdi);
  }
  if (className) made.className = className;
  return made;
}

function rows(list) {
  const dl = document.createElement("dl");
  for (const row of list) dl.append(element("dt", row.label), element("dd", row.value));
  return dl;
}

function names(list) {
  const ul = document.createElement("ul");
  for (const name of list) ul.append(element("li", name));
  return ul;
}

// who is somebody with the word of whoever vouches for them.
function who(party) {
  const div = document.createElement("div");
  div.className = party.known ? "" : "warn";
  div.append(element("p", party.name), element("p", party.vouched, "quiet"));
  if (party.address !== party.name) div.append(element("p", party.address, "quiet"));
  return div;
}

// ---- the list ----

async function home() {
  const h = await ask("home");
  await open("home");
  $("loading").hidden = true;
  $("cards").replaceChildren(...h.cards.map((card) => {
    const li = document.createElement("li");
    const button = document.createElement("button");
    const name = document.createElement("strong");
    const state = element("span", card.sentence);
    name.append(element("bdi", card.name));
    state.dataset.state = card.state;
    button.type = "button";
    button.dataset.card = card.id;
    button.append(name, element("span", card.issuer), state);
    button.onclick = () => attempt(() => showCard(card.id));
    li.append(button);
    return li;
  }));
  $("none").hidden = h.cards.length > 0;
  $("waiting").hidden = h.later === 0;
  $("profile").replaceChildren(...h.profiles.map((p) => new Option(p.name, p.id, false, p.id === h.profile)));
  $("whose").hidden = h.profiles.length < 2;
  $("state").textContent = h.known ? say("lists", { date: h.as_of }) : say("lists.none");
}

// ---- an offer ----

async function readOffer(link) {
  const offer = await attempt(() => ask("offer", link));
  if (!offer) return false;
  const from = document.createElement("div");
  from.append(element("h3", say("offer.from")), who(offer.issuer));
  for (const card of offer.cards) from.append(element("h3", card.name), names(card.claims));
  $("offered").replaceChildren(from);
  $("coded").hidden = !offer.code;
  $("code").required = Boolean(offer.code);
  $("code").value = "";
  $("code").inputMode = offer.code?.numeric ? "numeric" : "text";
  $("codehint").textContent = offer.code?.hint ?? "";
  $("unknown").hidden = offer.issuer.known;
  $("knowing").checked = false;
  $("knowing").required = !offer.issuer.known;
  await open("offer");
  return true;
}

async function accept() {
  $("yes").disabled = true;
  notice(say("fetching"));
  const got = await ask("accept", $("code").value, $("knowing").checked ? "knowing" : "").finally(() => { $("yes").disabled = false; });
  history.replaceState(null, "", location.pathname);
  navigator.storage?.persist?.().catch(() => {});
  if (got.cards.length) await showCard(got.cards[0]);
  else await home();
  notice(say(got.cards.length ? "accepted" : "waiting"));
}

// ---- a card ----

let card = null;

async function showCard(id) {
  card = await ask("view", id);
  await open("card");
  $("name").textContent = card.name;
  $("issuer").replaceChildren(element("bdi", card.issuer));
  $("stands").textContent = card.sentence;
  $("stands").dataset.state = card.state;
  $("says").replaceChildren(rows([...card.claims, ...card.facts]));
  const optional = card.claims.filter((c) => c.optional);
  $("choose").hidden = optional.length === 0;
  $("choose").replaceChildren($("choose").querySelector("legend"), ...optional.map((c) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = c.name;
    label.className = "tick";
    label.append(box, element("span", c.label));
    return label;
  }));
  const usable = card.live && card.state === "good";
  $("live").disabled = $("copy").querySelector("button").disabled = !usable;
  $("sure").hidden = true;
  $("until").min = new Date().toISOString().slice(0, 10);
}

const chosen = () => [...$("choose").querySelectorAll("input:checked")].map((box) => box.value);

const show = (mode, more = {}) => ask("show", JSON.stringify({ id: card.id, mode, claims: chosen(), for: "", until: "", ...more }));

// ---- a code on the screen ----

let showing = null; // {redraw, ends, drawn, paused, timer, lock}

async function startShowing(shown, name, printed = []) {
  await open("shown");
  showing = { redraw: shown.redraw, ends: shown.ends, drawn: 0, paused: false, heard: "" };
  $("whose-card").textContent = name;
  $("sentence").textContent = shown.sentence;
  $("printed").replaceChildren(rows(printed));
  $("print").hidden = shown.redraw > 0 || shown.ends > 0; // on paper a live code is over
  $("pause").hidden = $("timer").hidden = !(shown.redraw || shown.ends);
  $("code-box").setAttribute("aria-label", say("code.label", { name }));
  putCode(shown);
  showing.timer = setInterval(() => tick().catch(() => {}), 250);
  await awake();
}

function putCode(shown) {
  $("code-box").replaceChildren(document.importNode(new DOMParser().parseFromString(shown.svg, "image/svg+xml").documentElement, true));
  $("code-box").classList.remove("hidden");
  document.body.dataset.code = shown.text;
  showing.drawn = Date.now();
  showing.paused = false;
  pressed();
}

function pressed() {
  $("pause").setAttribute("aria-pressed", String(showing.paused));
  $("pause").textContent = say(showing.paused ? "resume" : "pause");
}

// hideCode leaves nothing on the screen that could still be scanned.
function hideCode() {
  $("code-box").replaceChildren();
  $("code-box").classList.add("hidden");
  delete document.body.dataset.code;
}

async function tick() {
  if (!showing || showing.paused || showing.busy || !(showing.redraw || showing.ends)) return;
  const lasts = showing.redraw || showing.ends;
  const left = lasts - (Date.now() - showing.drawn) / 1000;
  if (left <= 0 || left > lasts) {
    if (!showing.redraw) {
      hideCode();
      showing.paused = true;
      pressed();
      $("pause").hidden = true;
      $("countdown").textContent = $("spoken").textContent = say("over");
      return;
    }
    showing.busy = true;
    try {
      putCode(await ask("redraw"));
    } catch (problem) {
      pause();
      notice(problem.sentence || say("problem.internal"), true);
    } finally {
      if (showing) showing.busy = false;
    }
    return;
  }
  $("ring").style.strokeDashoffset = String(100 - (100 * left) / lasts);
  $("countdown").textContent = say(showing.redraw ? "countdown" : "countdown.ends", { n: digits(Math.ceil(left)) });
  if (!showing.heard) $("spoken").textContent = showing.heard = say(showing.redraw ? "countdown.heard" : "countdown.ends.heard", { n: digits(lasts) });
}

function pause() {
  if (!showing || showing.paused) return;
  showing.paused = true;
  hideCode();
  $("countdown").textContent = $("spoken").textContent = say("paused");
  pressed();
}

async function resume() {
  if (!showing?.paused) return;
  if (!showing.redraw) return; // an answer is shown once
  putCode(await ask("redraw"));
  showing.heard = "";
  await awake();
}

async function endShowing() {
  if (!showing) return;
  clearInterval(showing.timer);
  await showing.lock?.release?.().catch(() => {});
  showing = null;
  hideCode();
  for (const id of ["whose-card", "sentence", "countdown", "spoken", "printed"]) $(id).replaceChildren();
  $("code-box").setAttribute("aria-label", "");
  await ask("stop");
}

// awake keeps the screen on while a code is on it, where the browser can.
async function awake() {
  try {
    const lock = await navigator.wakeLock?.request("screen");
    if (showing) showing.lock = lock;
    else await lock?.release();
  } catch { /* then it goes dark as it always does */ }
}

// ---- a question ----

async function readQuestion(text) {
  const q = await attempt(() => ask("question", text));
  if (!q) return false;
  const facts = document.createElement("div");
  const head = (key) => element("h3", say(key));
  facts.append(head("fact.who"), who(q.verifier), head("fact.why"), element("p", q.purpose), head("fact.what"), element("p", q.card), rows(q.claims));
  if (q.always.length) facts.append(element("p", say("fact.always"), "quiet"), names(q.always));
  facts.append(head("fact.kept"), element("p", q.kept));
  $("facts").replaceChildren(facts);
  $("stranger").hidden = q.verifier.known;
  $("stillknowing").checked = false;
  $("stillknowing").required = !q.verifier.known;
  asked = q;
  await open("asking");
  return true;
}

let asked = null;

// ---- reading: camera, picture, text ----

let reading = "offer";
let stream = null;

async function openReader(what) {
  reading = what;
  $("readtitle").textContent = say(what === "offer" ? "read.offer" : "read.question");
  $("text").value = "";
  await open("read");
}

// take goes on with what was read, whatever it was looked for as.
async function take(text) {
  return /^[a-z-]+:\/\//i.test(text.trim()) ? readOffer(text) : readQuestion(text);
}

async function codesIn(pixels, hard) {
  const { codes = [], failed } = await reader({ picture: pixels, hard }, [pixels.data.buffer]);
  if (failed) notice(say("no_reader"), true);
  return codes.map((c) => c.text).filter(Boolean);
}

async function readPicture(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    notice(say("no_code"), true);
    return;
  }
  const scale = Math.min(1, 4096 / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  draw.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const codes = await codesIn(draw.getImageData(0, 0, canvas.width, canvas.height), true);
  if (codes.length === 1) await take(codes[0]);
  else if ($("notice").hidden) notice(say(codes.length ? "several" : "no_code"), true);
}

async function startCamera() {
  notice("");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } });
  } catch {
    notice(say("no_camera"), true);
    return;
  }
  $("video").srcObject = stream;
  await $("video").play();
  $("camera").hidden = false;
  $("start").hidden = true;
  const canvas = new OffscreenCanvas(1, 1);
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  let refused = "";
  for (let n = 0; stream && view === "read"; n++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (!stream || !$("video").videoWidth) continue;
    canvas.width = $("video").videoWidth;
    canvas.height = $("video").videoHeight;
    draw.drawImage($("video"), 0, 0);
    const [text] = await codesIn(draw.getImageData(0, 0, canvas.width, canvas.height), n % 3 === 2);
    if (!text || text === refused || !stream) continue;
    if (await take(text)) return;
    refused = text; // it stays in view, and was told about once
  }
}

function stopCamera() {
  stream?.getTracks().forEach((t) => t.stop());
  stream = null;
  $("camera").hidden = true;
  $("start").hidden = false;
}

// ---- history, profiles, files ----

async function openHistory() {
  const lines = await ask("log");
  $("lines").replaceChildren(...lines.map((line) => {
    const li = document.createElement("li");
    li.append(element("div", line.what));
    if (line.why) li.append(element("div", line.why, "quiet"));
    li.append(element("div", line.when, "quiet"));
    return li;
  }));
  await open("log");
}

function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// ---- trust ----

async function update() {
  const settings = await (await fetch("settings.json")).json();
  if (!settings.trust) return;
  let file;
  try {
    const response = await fetch(settings.trust, { cache: "no-cache" });
    if (!response.ok) return;
    file = new Uint8Array(await response.arrayBuffer());
  } catch {
    return; // without a connection all stays as it is
  }
  const { changed } = await ask("trust", file, settings.fingerprint);
  if (changed && view === "home") await home();
}

// ---- the start ----

const on = (id, event, act) => $(id).addEventListener(event, (e) => {
  e.preventDefault();
  attempt(() => act(e));
});

function wire() {
  for (const [tag, name] of languages) {
    const option = new Option(name, tag);
    option.lang = tag;
    $("language").append(option);
  }
  on("language", "change", async () => {
    await speak($("language").value);
    if (view === "card") await showCard(card.id);
    else await home();
  });
  on("profile", "change", async () => { await ask("profile", "use", $("profile").value); await home(); });
  on("add", "click", () => openReader("offer"));
  on("asked", "click", () => openReader("question"));
  on("history", "click", openHistory);
  on("more", "click", () => open("settings"));
  for (const button of document.querySelectorAll(".back")) button.addEventListener("click", () => attempt(home));
  on("start", "click", startCamera);
  on("picture", "click", () => $("file").click());
  $("file").addEventListener("change", () => attempt(async () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) await readPicture(file);
  }));
  on("typed", "submit", () => take($("text").value));
  on("take", "submit", accept);
  on("how", "submit", async () => startShowing(await show("live"), card.name));
  on("static", "click", async () => startShowing(await show("static"), card.name, [...card.claims.filter((c) => !c.optional || chosen().includes(c.name)), ...card.facts]));
  on("copy", "submit", async () => startShowing(await show("copy", { for: $("for").value, until: $("until").value }), card.name));
  on("agree", "submit", async () => startShowing(await ask("answer", $("stillknowing").checked ? "knowing" : ""), asked.card));
  on("pause", "click", () => (showing?.paused ? resume() : pause()));
  on("print", "click", () => print());
  on("done", "click", home);
  on("ask", "click", async () => {
    try {
      await ask("ask", card.id);
    } finally {
      await showCard(card.id);
    }
    notice(say("stands"));
  });
  on("forget", "click", () => { $("sure").hidden = false; $("sureyes").focus(); });
  on("sureno", "click", () => { $("sure").hidden = true; });
  on("sureyes", "click", async () => { await ask("delete", card.id); await home(); notice(say("deleted")); });
  on("person", "submit", async () => { await ask("profile", "add", $("personname").value); $("personname").value = ""; await home(); });
  on("rename", "click", async () => {
    if (!$("person").reportValidity()) return;
    await ask("profile", "name", $("personname").value);
    $("personname").value = "";
    await home();
  });
  on("clear", "click", () => { $("clearsure").hidden = false; $("clearyes").focus(); });
  on("clearno", "click", () => { $("clearsure").hidden = true; });
  on("clearyes", "click", async () => { await ask("profile", "delete"); $("clearsure").hidden = true; await home(); notice(say("deleted")); });
  on("save", "submit", async () => {
    notice(say("working"));
    const text = await ask("export", $("pass").value);
    $("pass").value = "";
    save("cards.json", text);
    notice(say("export.done"));
  });
  on("load", "click", () => { if ($("save").reportValidity()) $("loaded").click(); });
  $("loaded").addEventListener("change", () => attempt(async () => {
    const [file] = $("loaded").files;
    $("loaded").value = "";
    if (!file) return;
    notice(say("working"));
    const got = await ask("import", await file.text(), $("pass").value);
    $("pass").value = "";
    await home();
    notice(say("import.done", { n: digits(got.cards) }));
  }));
  // A phone that is laid down, or another tab: what is on the screen is over.
  document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); });
  addEventListener("hashchange", () => fromAddress());
  addEventListener("online", late);
  setInterval(() => { if (!document.hidden && view === "home") late(); }, 10_000); // a live code must not wait for it
}

// late fetches cards that an office put off. The engine asks an office no sooner than
// it wanted to be asked, and nobody if there is nothing to come.
async function late() {
  const got = await ask("poll").catch(() => null);
  if (got?.cards.length && view === "home") await home();
}

// fromAddress takes an offer that came with the address of the page.
async function fromAddress() {
  if (!location.hash.startsWith("#offer=")) return;
  const link = location.href;
  history.replaceState(null, "", location.pathname); // it works once, and is nobody's to find
  await readOffer(link);
}

async function begin() {
  wire();
  await speak(preferred());
  $("language").value = language;
  await home();
  for (const id of ["add", "asked", "history", "more"]) $(id).disabled = false;
  document.body.dataset.ready = "yes";
  if ("serviceWorker" in navigator) {
    navigator.serviceWorker.onmessage = ({ data }) => { if (data === "complete") document.body.dataset.offline = "complete"; };
    const registration = await navigator.serviceWorker.register("sw.js").catch(() => null);
    if (registration) {
      navigator.serviceWorker.ready.then(({ active }) => {
        document.body.dataset.offline ??= "ready";
        active.postMessage("later");
      });
    }
  }
  await update().catch(() => {});
  await fromAddress();
  await late();
}

begin().catch((error) => {
  console.error(error);
  notice(say("failed") === "failed" ? "This page could not start. Load it again." : say("failed"), true);
});
