// What a page must be, as far as a script in it can tell. The value is an object of
// functions, each of which returns what it found wrong in words.
({
	name(e) {
		const text = (e.innerText || e.value || e.getAttribute("aria-label") || "").trim().replace(/\s+/g, " ").slice(0, 40);
		const own = e.localName + (e.id ? "#" + e.id : "") + [...e.classList].slice(0, 2).map(c => "." + c).join("");
		return `<${own}${e.name ? " name=" + e.name : ""}> ${JSON.stringify(text)}`;
	},

	shown(e) {
		if (!e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
		const r = e.getBoundingClientRect();
		if (r.width <= 1 || r.height <= 1) return false; // for a screen reader only
		const clip = getComputedStyle(e);
		return clip.clip !== "rect(0px, 0px, 0px, 0px)" && clip.clipPath !== "inset(50%)";
	},

	// within reports whether an ancestor that scrolls or clips holds e.
	within(e) {
		for (let a = e.parentElement; a && a !== document.body && a !== document.documentElement; a = a.parentElement) {
			if (getComputedStyle(a).overflowX !== "visible" || !this.shown(a)) return true;
		}
		return false;
	},

	hasText(e) {
		return [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim() !== "");
	},

	// layout finds what sticks out of the window or of its box, and what is cut off.
	layout() {
		const found = [], root = document.documentElement, width = root.clientWidth;
		if (root.scrollWidth > width) found.push(`the page is ${root.scrollWidth} px wide in a window of ${width}`);
		for (const e of document.body.querySelectorAll("*")) {
			if (e.closest("svg") !== null && e.localName !== "svg" || !this.shown(e)) continue;
			const r = e.getBoundingClientRect(), style = getComputedStyle(e);
			if ((r.right > width + 1 || r.left < -1) && !this.within(e)) {
				found.push(`${this.name(e)} lies from ${Math.round(r.left)} to ${Math.round(r.right)} px in a window of ${width}`);
			}
			if (!this.hasText(e) || style.display === "inline" || ["INPUT", "SELECT", "TEXTAREA", "OPTION"].includes(e.tagName)) continue;
			const sides = e.scrollWidth > e.clientWidth + 1, height = e.scrollHeight > e.clientHeight + 3;
			if (sides && style.overflowX === "visible" && !this.within(e)) found.push(`the text of ${this.name(e)} sticks out of its box`);
			if (sides && ["hidden", "clip"].includes(style.overflowX) || height && ["hidden", "clip"].includes(style.overflowY)) {
				found.push(`the text of ${this.name(e)} is cut off`);
			}
		}
		return found;
	},

	// edges finds controls that nothing sets apart from text where the system takes colours
	// away: without a border of their own.
	edges() {
		return [...document.querySelectorAll("button, select, textarea, input:not([type=hidden], [type=checkbox], [type=radio], [type=range])")]
			.filter(e => {
				const s = getComputedStyle(e);
				return this.shown(e) && (s.borderTopStyle === "none" || parseFloat(s.borderTopWidth) === 0) && !s.textDecorationLine.includes("underline");
			})
			.map(e => `${this.name(e)} has no border`);
	},

	// motion finds what moves, or would.
	motion() {
		const found = document.getAnimations().map(a => `${this.name(a.effect.target)} moves`);
		for (const e of document.querySelectorAll("*")) {
			const s = getComputedStyle(e);
			if (s.transitionDuration.split(",").some(d => parseFloat(d) > 0) || s.animationName !== "none" || s.scrollBehavior === "smooth") found.push(`${this.name(e)} would move`);
		}
		return found;
	},

	// targets finds what is too small to be hit with a finger: less than 44 px high, or 24
	// px for links in a box of their own. Links in lines of text are as high as the text.
	targets() {
		const found = [];
		for (const e of document.querySelectorAll("a[href], button, summary, select, textarea, input:not([type=hidden]), [role=button]")) {
			if (!this.shown(e) || e.disabled) continue;
			let r = e.getBoundingClientRect(), least = 44;
			let top = r.top, bottom = r.bottom;
			if (["checkbox", "radio"].includes(e.type)) {
				for (const l of e.labels) {
					const b = l.getBoundingClientRect();
					top = Math.min(top, b.top), bottom = Math.max(bottom, b.bottom);
				}
			}
			if (e.localName === "a" && getComputedStyle(e).display === "inline") continue;
			if (e.localName === "a") least = 24;
			if (bottom - top < least - 0.5) found.push(`${this.name(e)} is ${Math.round(bottom - top)} px high, want ${least}`);
		}
		return found;
	},

	// texts returns each piece of text of the page, with the element it stands in, also
	// what is read to people and not shown.
	*texts() {
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let n = walker.nextNode(); n; n = walker.nextNode()) {
			if (!["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE"].includes(n.parentElement.tagName) && n.data.trim() !== "") yield [n.data.trim(), n.parentElement];
		}
		for (const e of document.querySelectorAll("[aria-label], [title], [alt], [placeholder], input[type=submit]")) {
			for (const a of ["aria-label", "title", "alt", "placeholder"]) if (e.getAttribute(a)) yield [e.getAttribute(a), e];
			if (e.type === "submit" && e.localName === "input") yield [e.value, e];
		}
		yield [document.title, document.head];
	},

	// words finds sentences that were not found, not filled or not translated, and text
	// of another script that nothing keeps apart from its surroundings.
	words(lang) {
		const found = [], html = document.documentElement;
		const dir = ["ar"].includes(lang) ? "rtl" : "ltr";
		if (html.lang !== lang) found.push(`the page says its language is ${JSON.stringify(html.lang)}, want ${lang}`);
		if (getComputedStyle(html).direction !== dir) found.push(`the page runs ${getComputedStyle(html).direction}, want ${dir}`);
		if (document.title.trim() === "") found.push("the page has no title");
		const heads = document.querySelectorAll("h1").length;
		if (heads !== 1) found.push(`the page has ${heads} headings of the first level`);
		const key = /(?:^|\s)(?:console|staff|work|manage|paper|reason|verdict|advice|label|check|result|warning|login|month|age)\.[a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\s|$)/;
		const left = /\{[a-z_]+\}|%![a-z(]|<no value>|<nil>|ZgotmplZ|<\/?[a-z]+>|&(?:lt|gt|amp|#\d+);/;
		const rtl = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
		const code = /(?:^|[\s(«])[0-9+#][-_:/.0-9]*[A-Za-z]/; // whose parts would change places
		const own = { ar: /[\u0600-\u06ff]/, bn: /[\u0980-\u09ff]/ }[lang];
		for (const [text, e] of this.texts()) {
			const said = JSON.stringify(text.slice(0, 60));
			const apart = e.closest("bdi, [dir], [lang], code, kbd, pre, [translate=no]");
			const mixed = apart !== null && apart !== html;
			if (!mixed && (key.test(text) || left.test(text))) found.push(`a sentence is missing or has a hole: ${said}`);
			if (mixed || /[\u2066-\u2069]/.test(text)) continue;
			if (dir === "ltr" && rtl.test(text)) found.push(`${said} runs the other way and nothing keeps it apart`);
			if (dir === "rtl" && rtl.test(text) && code.test(text)) found.push(`${said} has a code in it that nothing keeps apart`);
			if (own && e !== document.head && !own.test(text) && /[A-Za-z]{2,}[ ,]+[A-Za-z]{2,}[ ,]+[A-Za-z]{2,}/.test(text)) found.push(`not translated: ${said}`);
		}
		return found;
	},

	// controls are the elements that Tab must reach, in order.
	controls() {
		const seen = new Set();
		return [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex], iframe")].filter(e => {
			if (e.disabled || e.tabIndex < 0 || !e.checkVisibility({ visibilityProperty: true })) return false;
			if (e.closest("[inert]") || e.getBoundingClientRect().width === 0) return false;
			if (e.type !== "radio") return true;
			// Tab enters a group of radio buttons once: at the chosen one or the first.
			const group = [...document.querySelectorAll("input[type=radio]")].filter(o => o.name === e.name && o.form === e.form && !o.disabled);
			const chosen = group.find(o => o.checked);
			if (chosen ? chosen !== e : seen.has(e.form + e.name)) return false;
			seen.add(e.form + e.name);
			return true;
		});
	},

	// walk begins to watch what gets the focus, from the top of the page.
	walk() {
		const w = globalThis.__chrometestWalk = { controls: this.controls(), order: [], problems: [] };
		document.activeElement?.blur();
		document.body.tabIndex = -1;
		document.body.focus();
		document.body.blur();
		document.body.removeAttribute("tabindex");
		const before = new Map(w.controls.map(e => [e, this.look(e)]));
		w.stop = new AbortController();
		document.addEventListener("focusin", ev => {
			const e = ev.target;
			if (w.order.includes(e)) return;
			w.order.push(e);
			const style = getComputedStyle(e);
			const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
			if (!outlined && before.get(e) === this.look(e)) w.problems.push(`one does not see that ${this.name(e)} has the focus`);
			const r = e.getBoundingClientRect();
			if (r.width <= 1 || r.height <= 1) w.problems.push(`${this.name(e)} has the focus and no size`);
			const x = Math.min(Math.max(r.left + r.width / 2, 0), innerWidth - 1), y = Math.min(Math.max(r.top + Math.min(r.height / 2, 20), 0), innerHeight - 1);
			const top = document.elementFromPoint(x, y);
			if (top && top !== e && !e.contains(top) && !top.contains(e) && ![...(e.labels ?? [])].some(l => l.contains(top)) && e.getClientRects().length === 1) {
				w.problems.push(`${this.name(e)} has the focus and lies under ${this.name(top)}`);
			}
		}, { capture: true, signal: w.stop.signal });
		return w.controls.length;
	},

	look(e) {
		const s = getComputedStyle(e);
		return [s.boxShadow, s.borderColor, s.borderWidth, s.backgroundColor, s.textDecoration, s.color].join(" ");
	},

	// walked returns whether everything was reached.
	walked() {
		const w = globalThis.__chrometestWalk;
		return w.controls.every(e => w.order.includes(e));
	},

	// endWalk returns what was wrong with it.
	endWalk() {
		const w = globalThis.__chrometestWalk, found = w.problems;
		w.stop.abort();
		for (const e of w.controls) if (!w.order.includes(e)) found.push(`Tab does not reach ${this.name(e)}`);
		const reached = w.order.filter(e => w.controls.includes(e)), inOrder = w.controls.filter(e => w.order.includes(e));
		const i = reached.findIndex((e, i) => e !== inOrder[i]);
		if (i >= 0) found.push(`Tab goes to ${this.name(reached[i])} before ${this.name(inOrder[i])}`);
		return found;
	},

	// axe returns the rules of accessibility that the page breaks, of all or of these.
	async axe(...only) {
		const run = await axe.run(document, {
			resultTypes: ["violations"],
			runOnly: only.length > 0 ? only : ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
			rules: { "target-size": { enabled: true } },
		});
		return run.violations.flatMap(v => v.nodes.map(n => `axe ${v.id}: ${v.help}: ${n.target.join(" ")} ${(n.failureSummary ?? "").split("\n").slice(1, 3).join(" ").trim()}`.slice(0, 400)));
	},
})
