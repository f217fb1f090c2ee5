// Codes in PDF files, for the worker that reads pictures. Printed certificates draw their
// codes as rectangles, and scanners put one picture on each page: these two are looked at,
// and nothing else of a PDF is understood (ISO 32000-1, 7.3.8 and 8.5.2).

const limits = { file: 32 << 20, streams: 400, inflated: 8 << 20, rectangles: 200_000, pictures: 40, side: 4096 };

// pdfPictures yields what could show a code: ImageData, page by page.
async function* pdfPictures(file) {
  if (file.byteLength > limits.file) return;
  const bytes = new Uint8Array(file);
  const text = new TextDecoder("latin1").decode(bytes);
  if (!text.startsWith("%PDF-") || /\/Encrypt\s/.test(text)) return;
  const heads = /(<<(?:(?!endobj|endstream)[^]){0,4000}?>>)\s*stream\r?\n/g;
  let pictures = 0;
  for (let n = 0, head; n < limits.streams && pictures < limits.pictures && (head = heads.exec(text)); n++) {
    const from = heads.lastIndex;
    const to = text.indexOf("endstream", from);
    if (to < 0) return;
    heads.lastIndex = to;
    const data = bytes.subarray(from, to);
    let picture = null;
    if (/\/Subtype\s*\/Image/.test(head[1])) {
      if (/\/DCTDecode/.test(head[1]) && !/\/FlateDecode/.test(head[1])) picture = await photo(data);
    } else if (!/\/(FontFile|Length1|XRef|ObjStm|Metadata)\b/.test(head[1])) {
      const content = /\/FlateDecode/.test(head[1]) ? await inflate(data) : /\/Filter/.test(head[1]) ? null : data;
      if (content) picture = plot(rectangles(new TextDecoder("latin1").decode(content)));
    }
    if (picture) {
      pictures++;
      yield picture;
    }
  }
}

// inflate unpacks a stream. What follows its end, such as a line break, does not matter.
async function inflate(data) {
  const unpacker = new DecompressionStream("deflate");
  const writer = unpacker.writable.getWriter();
  writer.write(data).catch(() => {});
  writer.close().catch(() => {});
  const parts = [];
  let size = 0;
  const reader = unpacker.readable.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > limits.inflated) return null;
      parts.push(value);
    }
  } catch { /* what there was until then */ }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// rectangles follows a page: which rectangles it fills, and how dark.
function rectangles(content) {
  const found = [];
  const saved = [];
  let state = { m: [1, 0, 0, 1, 0, 0], dark: true };
  let path = [];
  let numbers = [];
  const tokens = /\((?:\\[^]|[^\\()])*\)|<[^<>]*>|[^\s[\]()<>{}/%]+|\/[^\s[\]()<>{}/%]*/g;
  for (let token; (token = tokens.exec(content)) && found.length < limits.rectangles;) {
    const word = token[0];
    const number = Number(word);
    if (!Number.isNaN(number)) {
      numbers.push(number);
      continue;
    }
    const [a, b, c, d, e, f] = numbers;
    switch (word) {
      case "q": if (saved.length < 100) saved.push(state); break;
      case "Q": state = saved.pop() ?? state; break;
      case "cm": {
        const [A, B, C, D, E, F] = state.m;
        if (numbers.length === 6) state = { ...state, m: [a * A + b * C, a * B + b * D, c * A + d * C, c * B + d * D, e * A + f * C + E, e * B + f * D + F] };
        break;
      }
      case "g": state = { ...state, dark: a < 0.5 }; break;
      case "rg": state = { ...state, dark: 0.3 * a + 0.6 * b + 0.1 * c < 0.5 }; break;
      case "k": state = { ...state, dark: d + 0.3 * a + 0.6 * b + 0.1 * c > 0.5 }; break;
      case "re": {
        const [A, B, C, D, E, F] = state.m;
        if (numbers.length === 4) path.push([a * A + b * C + E, a * B + b * D + F, (a + c) * A + (b + d) * C + E, (a + c) * B + (b + d) * D + F]);
        break;
      }
      case "f": case "F": case "f*": case "B": case "B*": case "b": case "b*":
        for (const box of path) found.push({ box, dark: state.dark });
        path = [];
        break;
      case "n": case "S": case "s": case "W": case "W*": if (word[0] !== "W") path = []; break;
    }
    numbers = [];
  }
  return found;
}

// plot draws the rectangles, four pixels to a point.
function plot(found) {
  if (found.filter((r) => r.dark).length < 50) return null; // fewer than any code has
  let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { box: [a, b, c, d] } of found) {
    left = Math.min(left, a, c);
    right = Math.max(right, a, c);
    bottom = Math.min(bottom, b, d);
    top = Math.max(top, b, d);
  }
  const margin = 20;
  const scale = Math.min(4, limits.side / (Math.max(right - left, top - bottom) + 2 * margin));
  if (!(scale > 0)) return null;
  const canvas = new OffscreenCanvas(Math.ceil((right - left + 2 * margin) * scale), Math.ceil((top - bottom + 2 * margin) * scale));
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  draw.fillStyle = "#fff";
  draw.fillRect(0, 0, canvas.width, canvas.height);
  for (const { box: [a, b, c, d], dark } of found) {
    draw.fillStyle = dark ? "#000" : "#fff";
    const x = Math.round((Math.min(a, c) - left + margin) * scale);
    const y = Math.round((top - Math.max(b, d) + margin) * scale);
    draw.fillRect(x, y, Math.round((Math.max(a, c) - left + margin) * scale) - x, Math.round((top - Math.min(b, d) + margin) * scale) - y);
  }
  return draw.getImageData(0, 0, canvas.width, canvas.height);
}

// photo is a JPEG inside the file.
async function photo(data) {
  let picture;
  try {
    picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
  } catch {
    return null;
  }
  const scale = Math.min(1, limits.side / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  const draw = canvas.getContext("2d", { willReadFrequently: true });
  draw.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return draw.getImageData(0, 0, canvas.width, canvas.height);
}
