package chrometest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long anything may take before the test fails.
const patience = 30 * time.Second

var errMissing = errors.New("no Chromium is installed; scripts/setup-test.sh does it")

// tidy removes the browser's files after the end of its input, which comes with the
// end of the test process. The browser itself ends when its pipe closes.
const tidy = `while read -r line; do :; done
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do rm -rf "$1" && [ ! -e "$1" ] && exit 0; sleep 0.3; done 2>/dev/null`

// browser is the one of this process.
var browser = sync.OnceValues(start)

type (
	aliveKey struct{}
	dirKey   struct{}
)

func start() (context.Context, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sanad-chromium-")
	if err != nil {
		return nil, err
	}
	tidier := exec.Command("sh", "-c", tidy, "sh", dir)
	pipe, err := tidier.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := tidier.Start(); err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(dir),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("mute-audio", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("no-default-browser-check", true),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
		chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-video-capture", camera(dir)),
	)
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	// The end of the pipe must live as long as the process: collected as garbage, it
	// would be closed.
	return context.WithValue(context.WithValue(ctx, aliveKey{}, pipe), dirKey{}, dir), nil
}

// find returns the program. Debian's chromium is a script that reads settings of the
// machine, which are no business of a test, so that the program itself comes first.
func find() (string, error) {
	for _, name := range []string{"/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errMissing
}

// A Page is one tab in a browser profile of its own, with no cookies at first. Its
// methods fail the test they were made for; use it from one goroutine.
type Page struct {
	t   testing.TB
	ctx context.Context
	// clock is the script that sets the clock of new documents.
	clock page.ScriptIdentifier

	mu        sync.Mutex
	requests  []string // URLs that the page asked for, in order
	documents []string // those of them that were pages
	failures  []string // scripts that failed, resources refused by policy or not found
	allowed   []string // hosts beside its own that it may ask
}

// New opens an empty page of 1280 by 800 pixels in English. It is gone when the test
// ends.
func New(t testing.TB) *Page {
	t.Helper()
	if testing.Short() {
		t.Skip("no browser in -short")
	}
	parent, err := browser()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("SANAD_REQUIRE_CHROMIUM") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatalf("chrometest: %v", err)
	}
	p := &Page{t: t}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	t.Cleanup(cancel)
	p.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chrometest: open a page: %v", err)
	}
	p.Size(1280, 800)
	p.Language("en")
	return p
}

// listen keeps what the page asks for and complains of. It must not call the browser.
func (p *Page) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, ev.Request.URL)
		if ev.Type == network.ResourceTypeDocument {
			p.documents = append(p.documents, ev.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		p.failures = append(p.failures, "a script failed: "+ev.ExceptionDetails.Text+" "+describe(ev.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if ev.Entry.Level != log.EntryLevelError || ev.Entry.Source == log.EntrySourceNetwork && p.isDocument(ev.Entry.URL) {
			return // a page that answers 404 or 409 is one that says so in words
		}
		p.failures = append(p.failures, fmt.Sprintf("the browser says: %s (%s)", ev.Entry.Text, ev.Entry.URL))
	}
}

func (p *Page) isDocument(u string) bool {
	for _, d := range p.documents {
		if d == u {
			return true
		}
	}
	return strings.HasSuffix(u, "/favicon.ico")
}

func describe(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}

// Complaints returns what the page did that it should not: asked another host than
// its own, failed in a script, used what its policy forbids; and
// forgets it.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := map[string]bool{"": true} // data:, about:
	for _, host := range p.allowed {
		own[host] = true
	}
	for _, d := range p.documents {
		if u, err := url.Parse(d); err == nil {
			own[u.Host] = true
		}
	}
	found := p.failures
	for _, r := range p.requests {
		if u, err := url.Parse(r); err != nil || !own[u.Host] {
			found = append(found, fmt.Sprintf("the page asks another host: %.100s", r))
		}
	}
	p.failures, p.requests = nil, nil
	return found
}

// MayAsk says that the page may ask another host, with its port.
func (p *Page) MayAsk(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, host)
}

// Requests are the addresses that the page asked for since it was made or last
// checked, in order.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}
