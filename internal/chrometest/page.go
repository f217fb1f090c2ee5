package chrometest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys that [Page.Press] knows by name, beside letters and digits.
const (
	Tab    = kb.Tab
	Enter  = kb.Enter
	Space  = " "
	Escape = kb.Escape
	Down   = kb.ArrowDown
	Up     = kb.ArrowUp
)

// run does one thing with the page and fails the test if that takes too long.
func run[T any](p *Page, what string, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.state())
	}
	return v
}

func call[P, R any](p *Page, cmd cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, cmd, params)
	if err != nil {
		p.t.Fatalf("%T: %v", params, err)
	}
	return r
}

// state says where the page is and what stands on it, for the message of a failure.
func (p *Page) state() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	s, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.body ? document.body.innerText : "")`))
	if len(s) > 2000 {
		s = s[:2000] + "…"
	}
	return "the page is " + s
}

// Eval returns the value of an expression of JavaScript in the page, awaited if it
// is a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return run(p, "evaluate", chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// quote writes a string as JavaScript reads it.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("chrometest: internal error: " + err.Error())
	}
	return string(b)
}

// Size sets the size of the window in CSS pixels.
func (p *Page) Size(width, height int) {
	p.t.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(width), Height: int64(height), DeviceScaleFactor: 1,
	})
}

// Language sets what the browser says its user prefers to read.
func (p *Page) Language(tag string) {
	p.t.Helper()
	call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/0 chrometest", AcceptLanguage: tag,
	})
}

// Dark sets whether the user prefers light signs on a dark ground.
func (p *Page) Dark(on bool) {
	p.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
}

// Prefer sets what the user has set in the system, by the names of CSS media features, such
// as forced-colors: active. What is not named is as in a new browser.
func (p *Page) Prefer(features map[string]string) {
	p.t.Helper()
	var all []*emulation.MediaFeature
	for _, name := range slices.Sorted(maps.Keys(features)) {
		all = append(all, &emulation.MediaFeature{Name: name, Value: features[name]})
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: all})
}

// Print shows the page as it is printed, or again as on a screen.
func (p *Page) Print(on bool) {
	p.t.Helper()
	media := ""
	if on {
		media = "print"
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media})
}

// Scripts sets whether pages may run scripts, from the next page on.
func (p *Page) Scripts(on bool) {
	p.t.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Clock makes the page's own clock show now and go on from there: at once, and in every
// document that it loads later. A worker of the page follows if its script begins with
// [WorkerClock].
func (p *Page) Clock(now time.Time) {
	p.t.Helper()
	if p.clock != "" {
		call(p, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: p.clock})
	}
	source := fmt.Sprintf(`{
		const right = () => Math.round(performance.timeOrigin + performance.now());
		const shift = %d - right();
		if (globalThis.chrometestShift === undefined) {
			const RealDate = Date, RealWorker = Worker, workers = [];
			globalThis.Date = class extends RealDate {
				constructor(...a) { if (a.length) super(...a); else super(right() + globalThis.chrometestShift); }
				static now() { return right() + globalThis.chrometestShift; }
			};
			globalThis.Worker = class extends RealWorker {
				constructor(...a) { super(...a); workers.push(this); this.postMessage({ chrometestShift }); }
			};
			globalThis.chrometestSet = (ms) => {
				globalThis.chrometestShift = ms;
				for (const w of workers) w.postMessage({ chrometestShift: ms });
			};
		}
		if (globalThis.chrometestSet) globalThis.chrometestSet(shift);
		true
	}`, now.UnixMilli())
	p.clock = call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}).Identifier
	run(p, "set the clock", chromedp.Evaluate[chromedp.Void](source))
}

// WorkerClock is what a test puts before the script of a worker, so that its clock is
// that of its page. Times are read at the moment of each question; nothing else of the
// worker changes.
const WorkerClock = `{
	const right = Date.now, skip = (e) => e.data?.chrometestShift !== undefined;
	let shift = 0;
	Date.now = () => right() + shift;
	addEventListener("message", (e) => {
		if (!skip(e)) return;
		shift = e.data.chrometestShift;
		e.stopImmediatePropagation();
	});
}
`

// Open goes to an address, waits until it has loaded and returns the status code of
// the answer.
func (p *Page) Open(address string) int {
	p.t.Helper()
	r := run(p, "open "+address, chromedp.NavigateResponse(address))
	if r == nil {
		return 0
	}
	return int(r.Status)
}

// URL is where the page is.
func (p *Page) URL() *url.URL {
	p.t.Helper()
	u, err := url.Parse(run(p, "location", chromedp.Location()))
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

// Text returns what a person reads of the first element that matches, as it is laid
// out.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	p.Wait(selector)
	return strings.TrimSpace(Eval[string](p, "document.querySelector("+quote(selector)+").innerText"))
}

// Has reports whether an element that matches is there now.
func (p *Page) Has(selector string) bool {
	p.t.Helper()
	return Eval[bool](p, "document.querySelector("+quote(selector)+") !== null")
}

// Attribute returns an attribute of the first element that matches.
func (p *Page) Attribute(selector, name string) string {
	p.t.Helper()
	p.Wait(selector)
	return Eval[string](p, "document.querySelector("+quote(selector)+").getAttribute("+quote(name)+") ?? ''")
}

// Wait waits until an element that matches is there.
func (p *Page) Wait(selector string) {
	p.t.Helper()
	p.until("wait for "+selector, "document.querySelector("+quote(selector)+") !== null")
}

// WaitText waits until the page says text somewhere.
func (p *Page) WaitText(text string) {
	p.t.Helper()
	p.until("wait for the text "+text, "document.body !== null && document.body.innerText.includes("+quote(text)+")")
}

// Until waits for an expression of JavaScript to be true, over changes of the page.
func (p *Page) Until(what, expression string) {
	p.t.Helper()
	p.until("wait for "+what, expression)
}

// until waits for an expression to be true, over changes of the page.
func (p *Page) until(what, expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		cancel()
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: it does not come (%v)\n%s", what, err, p.state())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// longText is from how many bytes on nobody types a text.
const longText = 60

// Fill replaces what stands in a field: typed key by key if it is short, pasted if it is
// long.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Wait(selector)
	Eval[bool](p, "(e => { e.focus(); e.select && e.select(); return true })(document.querySelector("+quote(selector)+"))")
	if len(text) < longText {
		p.Type(text)
		return
	}
	call(p, input.InsertText, input.InsertTextParams{Text: text})
}

// Type types text into what has the focus.
func (p *Page) Type(text string) {
	p.t.Helper()
	run(p, "type", chromedp.KeyEvent(text))
}

// Press presses a key on what has the focus, with nothing awaited.
func (p *Page) Press(key string) {
	p.t.Helper()
	run(p, "press", chromedp.KeyEvent(key))
}

// PressAndFollow presses a key that leads to another page and waits for that.
func (p *Page) PressAndFollow(key string) {
	p.t.Helper()
	run(p, "press and follow", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.KeyEvent(key))(ctx, t)
		return err
	}))
}

// Focus gives an element the focus by pressing Tab, as a person without a mouse does,
// and fails if it is not reached.
func (p *Page) Focus(selector string) {
	p.t.Helper()
	p.Wait(selector)
	n := Eval[int](p, "document.querySelectorAll('a,button,input,select,textarea,summary,[tabindex]').length")
	for range 2*n + 2 {
		if Eval[bool](p, "document.activeElement === document.querySelector("+quote(selector)+")") {
			return
		}
		p.Press(Tab)
	}
	p.t.Fatalf("%s is not reached by Tab\n%s", selector, p.state())
}

// Click clicks on the first element that matches, with nothing awaited.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Wait(selector)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Click(chromedp.CSS(selector)))
		if err == nil {
			return
		}
		// A page may draw anew what was found before it is clicked on.
		if ctx.Err() != nil || !strings.Contains(err.Error(), "Could not find node") {
			p.t.Fatalf("click %s: %v\n%s", selector, err, p.state())
		}
	}
}

// Follow clicks on what leads to another page and waits for that.
func (p *Page) Follow(selector string) {
	p.t.Helper()
	p.Wait(selector)
	run(p, "follow "+selector, chromedp.WaitEvent(page.LoadEventFired, nil, chromedp.Click(chromedp.CSS(selector))))
}

// Choose selects the option with this value in a list.
func (p *Page) Choose(selector, value string) {
	p.t.Helper()
	p.Wait(selector)
	ok := Eval[bool](p, "(e => { e.value = "+quote(value)+"; e.dispatchEvent(new Event('change', {bubbles: true})); return e.value === "+quote(value)+
		" })(document.querySelector("+quote(selector)+"))")
	if !ok {
		p.t.Fatalf("%s has no option %q", selector, value)
	}
}

// Upload puts files into a field for files.
func (p *Page) Upload(selector string, paths ...string) {
	p.t.Helper()
	p.Wait(selector)
	run(p, "upload", chromedp.SetUploadFiles(chromedp.CSS(selector), paths))
}

// Fetch asks for an address with the cookies of the page, as a link to a file would,
// and returns the answer with its body.
func (p *Page) Fetch(address string) (*http.Response, []byte) {
	p.t.Helper()
	ref, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	u := p.URL().ResolveReference(ref)
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range call(p, network.GetCookies, network.GetCookiesParams{URLs: []string{u.String()}}).Cookies {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	res, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, b
}

// Cookie gives the page a cookie for an address.
func (p *Page) Cookie(address string, c *http.Cookie) {
	p.t.Helper()
	call(p, network.SetCookie, network.SetCookieParams{
		Name: c.Name, Value: c.Value, URL: address, Path: c.Path, HTTPOnly: &c.HttpOnly, Secure: &c.Secure,
	})
}

// PressAndWait presses a key and waits until an element that matches is there.
func (p *Page) PressAndWait(key, selector string) {
	p.t.Helper()
	p.Press(key)
	p.Wait(selector)
}

// Named returns a selector for the link or button of the page that people know by this
// name, which is all of its text, and waits for it.
func (p *Page) Named(name string) string {
	p.t.Helper()
	const find = `(() => {
		const is = e => (e.innerText || e.value || "").trim().replace(/[\u2066-\u2069]/g, "").replace(/\s+/g, " ") === %s;
		const e = [...document.querySelectorAll("main a[href], main button, main summary, a[href], button, summary")].find(is);
		if (!e) return false;
		e.setAttribute("data-chrometest", %s);
		return true;
	})()`
	mark := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:12]
	p.until("wait for a link or button "+quote(name), fmt.Sprintf(find, quote(strings.Join(strings.Fields(name), " ")), quote(mark)))
	return `[data-chrometest="` + mark + `"]`
}

// Back goes to the page before, and waits for that.
func (p *Page) Back() {
	p.t.Helper()
	run(p, "back", chromedp.NavigateBack())
}
