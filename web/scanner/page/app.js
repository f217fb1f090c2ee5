// The scanner page: it holds the camera up to the reader, gives what was read to the
// judge, and shows the answer. What anything is worth is decided in judge.js alone.

const languages = [["en", "English", "ltr"], ["fr", "Français", "ltr"], ["pt", "Português", "ltr"], ["sw", "Kiswahili", "ltr"], ["bn", "বাংলা", "ltr"], ["ar", "العربية", "rtl"]];
const $ = (id) => document.getElementById(id);

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
const reader = colleague("read.js");

async function ask(operation, ...args) {
  const answer = JSON.parse((await judge({ operation, args: [language, ...args] })).answer);
  if (answer.error) throw new Error(answer.error);
  return answer;
}

// ---- memory: the mark and the bundle, apart from each other ----

const memory = {
  open: () => new Promise((resolve, reject) => {
    const request = indexedDB.open("sanad-scanner", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("trust");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  }),
  async load() {
    const db = await this.open();
    const get = (key) => new Promise((resolve, reject) => {
      const request = db.transaction("trust").objectStore("trust").get(key);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const found = { mark: await get("mark"), bundle: await get("bundle") };
    db.close();
    return found;
  },
  async save(mark, bundle) {
    const db = await this.open();
    await new Promise((resolve, reject) => {
      const change = db.transaction("trust", "readwrite", { durability: "strict" });
      change.objectStore("trust").put(bundle, "bundle");
      change.objectStore("trust").put(mark, "mark");
      change.oncomplete = resolve;
      change.onerror = change.onabort = () => reject(change.error);
    });
    db.close();
  },
};

const bytes = (base64) => Uint8Array.from(atob(base64 ?? ""), (c) => c.charCodeAt(0));

async function remember() {
  const { mark, bundle } = await ask("memory");
  if (mark) await memory.save(bytes(mark), bytes(bundle));
}

// ---- words ----

let language = "en";
let words = {};

function say(key) { return words["scan." + key] ?? key; }

async function speak(tag) {
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

function preferred() {
  let wanted = [...navigator.languages];
  try { wanted.unshift(localStorage.getItem("language") ?? ""); } catch { /* none kept */ }
  for (const tag of wanted) {
    const found = languages.find(([t]) => t === tag.split("-")[0]);
    if (found) return found[0];
  }
  return "en";
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// ---- trust ----

let settings = {};

async function showTrust() {
  const t = await ask("trust");
  $("summary").textContent = [t.summary, t.state].filter(Boolean).join(" ");
  $("state").textContent = $("summary").textContent;
  const list = $("trusted");
  list.replaceChildren();
  if (t.trusted && !t.damaged) {
    list.append(table([
      ["trust.fingerprint", t.fingerprint, "ltr"], ["trust.version", String(t.version)], ["trust.as_of", t.as_of],
      ["trust.refresh_by", t.refresh_by], ["trust.old_after", t.old_after],
    ].map(([label, value, direction]) => ({ label: say(label), value, direction }))));
    for (const [title, names] of [["trust.issuers", t.issuers], ["trust.types", t.types]]) {
      const ul = document.createElement("ul");
      for (const n of names) ul.append(item(n.note ? `${n.name} (${n.note})` : n.name));
      list.append(headed(say(title)), ul);
    }
  }
  return t;
}

function item(text) {
  const li = document.createElement("li");
  const bdi = document.createElement("bdi");
  bdi.textContent = text;
  li.append(bdi);
  return li;
}

function headed(text) {
  const h = document.createElement("h3");
  h.textContent = text;
  return h;
}

function table(rows) {
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

let unconfirmed = null;

// take judges a trust file. Pinned is a fingerprint that came with the page.
async function take(file, pinned = "") {
  const result = await ask("import", file, pinned);
  $("confirm").hidden = !result.confirm;
  if (result.confirm) {
    unconfirmed = { file, fingerprint: result.confirm.fingerprint };
    $("from").replaceChildren(...result.confirm.issuers.map(item));
    $("fingerprint").textContent = result.confirm.fingerprint;
    openTrust();
    $("yes").focus();
    return result;
  }
  unconfirmed = null;
  if (result.done) await remember();
  await showTrust();
  return result;
}

// update asks for newer lists where the page came from. Without a connection all stays
// as it is.
async function update(asked) {
  if (!settings.trust) return;
  let file;
  try {
    const response = await fetch(settings.trust, { cache: "no-cache" });
    if (!response.ok) throw new Error(response.status);
    file = new Uint8Array(await response.arrayBuffer());
  } catch {
    if (asked) notice(say("trust.offline"));
    return;
  }
  const result = await take(file, settings.fingerprint);
  if (result.refused && result.refused !== "rollback") notice(result.sentence);
  else if (asked && result.done) notice(say(result.changed ? "trust.updated" : "trust.same"));
  else if (asked && result.refused) notice(result.sentence);
}

function openTrust() {
  $("trust").hidden = false;
  $("knowledge").setAttribute("aria-expanded", "true");
  $("trust").querySelector("h2").focus();
}

function closeTrust() {
  $("trust").hidden = true;
  $("confirm").hidden = true;
  $("knowledge").setAttribute("aria-expanded", "false");
  $("knowledge").focus();
}

// ---- result ----

let shown = null; // what was judged, so that it can be told again in another language

async function check(input, sensitive = "") {
  const answer = await ask("check", input, sensitive);
  shown = input;
  if (answer.learned) remember().catch(() => {});
  showPage(answer.page);
  return answer;
}

function showPage(page) {
  $("verdict").dataset.verdict = page.verdict;
  $("heading").textContent = page.heading;
  const whys = $("whys");
  whys.replaceChildren();
  for (const why of page.why) {
    const div = document.createElement("div");
    div.className = "why";
    for (const [text, kind] of [[why.kind, ""], [why.text, "link"], [why.reason, ""], [why.advice, "advice"]]) {
      if (!text) continue;
      const p = document.createElement("p");
      const bdi = document.createElement("bdi");
      bdi.textContent = text;
      p.className = kind;
      p.append(bdi);
      div.append(p);
    }
    whys.append(div);
  }
  $("portrait").hidden = !page.face;
  if (page.face) $("face").src = page.face;
  else $("face").removeAttribute("src");
  const said = $("said");
  said.replaceChildren();
  if (page.facts.length) said.append(headed(say("who")), table(page.facts));
  const claims = page.claims.filter((row) => row.kind !== "photo");
  if (claims.length) said.append(headed(say("says")), table(claims));
  if (page.hidden.length) {
    const more = document.createElement("button");
    more.type = "button";
    more.textContent = say("hidden");
    more.onclick = () => check(shown, "sensitive");
    said.append(more);
  }
  $("notes").replaceChildren(...page.notes.map(item));
  $("scan").hidden = true;
  $("result").hidden = false;
  $("heading").focus();
  signal(page.verdict);
}

// signal is the verdict for ears and hands: two tones up, one, two down, one low.
const tones = { valid: [660, 880], check_needed: [660], invalid: [440, 220], undetermined: [330] };
let audio = null;

function signal(verdict) {
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(verdict === "valid" ? 80 : [120, 80, 120]);
  if (!audio) return;
  tones[verdict].forEach((pitch, i) => {
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    tone.frequency.value = pitch;
    gain.gain.value = 0.1;
    tone.connect(gain).connect(audio.destination);
    tone.start(audio.currentTime + i * 0.18);
    tone.stop(audio.currentTime + i * 0.18 + 0.15);
  });
}

function again() {
  $("result").hidden = true;
  $("scan").hidden = false;
  shown = null;
  notice("");
  judged.seen = performance.now(); // it was in view all the time, for all we know
  if (stream) look();
  else $("start").focus();
}

// ---- reading ----

const encoder = new TextEncoder();
const input = (code) => (code.text ? encoder.encode(code.text) : code.bytes);

// decide gives the codes of one picture to the judge. A certificate has a second code
// beside it, which leads to a page of help.
async function decide(codes) {
  if (codes.length === 1) return check(input(codes[0]));
  const { text } = await ask("choose", JSON.stringify(codes.map((c) => c.text)));
  if (text) return check(encoder.encode(text));
  notice(say("several"));
  return null;
}

async function readPicture(file) {
  notice("");
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    notice(say("no_code"));
    return;
  }
  const most = 4096;
  const scale = Math.min(1, most / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  draw.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const pixels = draw.getImageData(0, 0, canvas.width, canvas.height);
  const { codes = [] } = await reader({ picture: pixels, hard: true }, [pixels.data.buffer]);
  if (codes.length) await decide(codes);
  else notice(say("no_code"));
}

// ---- camera ----

let stream = null;
let looking = false;

async function start() {
  audio ??= window.AudioContext ? new AudioContext() : null;
  notice("");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } });
  } catch {
    notice(say("no_camera"));
    return;
  }
  $("video").srcObject = stream;
  await $("video").play();
  $("view").hidden = $("stop").hidden = false;
  $("start").hidden = true;
  const track = stream.getVideoTracks()[0];
  const can = track.getCapabilities?.() ?? {};
  $("torch").hidden = !can.torch;
  $("zoomed").hidden = !can.zoom;
  if (can.zoom) Object.assign($("zoom"), { min: can.zoom.min, max: can.zoom.max, step: can.zoom.step || 0.1, value: can.zoom.min });
  look();
}

function stop() {
  stream?.getTracks().forEach((t) => t.stop());
  stream = null;
  judged = { text: "", seen: 0 };
  $("view").hidden = $("stop").hidden = $("torch").hidden = $("zoomed").hidden = true;
  $("start").hidden = false;
}

// look reads frame after frame until a code was judged.
async function look() {
  if (looking) return;
  looking = true;
  const video = $("video");
  const began = performance.now();
  const canvas = new OffscreenCanvas(1, 1);
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  for (let n = 0; stream && $("result").hidden; n++) {
    if (!video.videoWidth) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    draw.drawImage(video, 0, 0);
    const pixels = draw.getImageData(0, 0, canvas.width, canvas.height);
    const dark = brightness(pixels.data) < 40;
    const { codes = [] } = await reader({ picture: pixels, hard: n % 3 === 2 }, [pixels.data.buffer]);
    if (!stream || !$("result").hidden) break; // meanwhile somebody did something else
    if (codes.length && !still(codes) && (await decide(codes))) break;
    const waited = performance.now() - began;
    $("hint").textContent = say(dark ? "light" : waited > 4000 ? "closer" : "point");
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  looking = false;
}

// still reports whether the camera goes on seeing what was judged last: it is judged
// again after it was out of view for a while.
let judged = { text: "", seen: 0 };

function still(codes) {
  const text = codes.map((c) => c.text).sort().join("\n");
  const now = performance.now();
  const same = text === judged.text && now - judged.seen < 1500;
  judged = { text, seen: now };
  return same;
}

// brightness is the mean of some of the pixels, 0 to 255.
function brightness(data) {
  let sum = 0;
  let n = 0;
  for (let i = 0; i < data.length; i += 4 * 997) {
    sum += data[i] * 0.3 + data[i + 1] * 0.6 + data[i + 2] * 0.1;
    n++;
  }
  return sum / n;
}

// ---- the start ----

function wire() {
  for (const [tag, name] of languages) {
    const option = new Option(name, tag);
    option.lang = tag;
    $("language").append(option);
  }
  $("language").onchange = async () => {
    await speak($("language").value);
    await showTrust();
    if (shown) await check(shown);
  };
  $("knowledge").onclick = () => ($("trust").hidden ? openTrust() : closeTrust());
  $("close").onclick = closeTrust;
  $("start").onclick = start;
  $("stop").onclick = stop;
  $("next").onclick = again;
  $("torch").onclick = () => {
    const on = $("torch").getAttribute("aria-pressed") !== "true";
    stream?.getVideoTracks()[0].applyConstraints({ advanced: [{ torch: on }] });
    $("torch").setAttribute("aria-pressed", String(on));
  };
  $("zoom").oninput = () => stream?.getVideoTracks()[0].applyConstraints({ advanced: [{ zoom: Number($("zoom").value) }] });
  $("picture").onclick = () => $("file").click();
  $("import").onclick = () => $("bundle").click();
  $("file").onchange = async () => {
    const [file] = $("file").files;
    $("file").value = "";
    if (file) await readPicture(file);
  };
  $("typed").onsubmit = async (event) => {
    event.preventDefault();
    const text = $("text").value.trim();
    $("text").value = "";
    if (text) await check(encoder.encode(text));
  };
  // Enter sends, as scanners that type like a keyboard end with it.
  $("text").onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      $("typed").requestSubmit();
    }
  };
  addEventListener("paste", async (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((f) => f.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      await readPicture(file);
    }
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file) await readPicture(file);
  });
  $("same").onclick = () => notice("");
  $("other").onclick = () => {
    notice(say("person.not"));
    scrollTo(0, 0);
  };
  $("bundle").onchange = async () => {
    const [file] = $("bundle").files;
    $("bundle").value = "";
    if (!file) return;
    const result = await take(new Uint8Array(await file.arrayBuffer()));
    if (result.refused) notice(result.sentence);
    else if (result.done) notice(say(result.changed ? "trust.updated" : "trust.same"));
  };
  $("yes").onclick = async () => {
    const { file, fingerprint } = unconfirmed;
    const result = await take(file, fingerprint);
    if (result.done) {
      notice(say("trust.updated"));
      closeTrust();
    }
  };
  $("no").onclick = () => {
    unconfirmed = null;
    closeTrust();
  };
  $("update").onclick = () => update(true);
  addEventListener("online", () => update(false));
  setInterval(() => update(false), 6 * 3600 * 1000);
}

async function begin() {
  wire();
  await speak(preferred());
  $("language").value = language;
  settings = await (await fetch("settings.json")).json();
  $("update").hidden = !settings.trust;
  const { mark, bundle } = await memory.load().catch(() => ({}));
  if (mark) await ask("restore", mark, bundle ?? new Uint8Array()).catch((error) => notice(error.message));
  await showTrust();
  for (const id of ["start", "check", "picture", "import"]) $(id).disabled = false;
  document.body.dataset.ready = "yes";
  navigator.storage?.persist?.().catch(() => {});
  if ("serviceWorker" in navigator) {
    const registration = await navigator.serviceWorker.register("sw.js").catch(() => null);
    if (registration) navigator.serviceWorker.ready.then(() => { document.body.dataset.offline = "ready"; });
  }
  await update(false);
}

begin().catch(() => notice(say("failed") === "failed" ? "This page could not start. Load it again." : say("failed")));
