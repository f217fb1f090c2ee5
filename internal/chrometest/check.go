package chrometest

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"

	"github.com/sanad-id/sanad/internal/i18n"
)

//go:embed check.js
var checks string

// Widths are those in CSS pixels that every page must fit: a small telephone, a tablet
// and a desk.
var Widths = []int{320, 768, 1280}

// errNoAxe says what is missing and who puts it there.
var errNoAxe = errors.New("axe-core is not installed; scripts/setup-test.sh does it")

// axe is the script of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errNoAxe
		}
		dir = filepath.Dir(dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "interop", "node_modules", "axe-core", "axe.min.js"))
	if errors.Is(err, os.ErrNotExist) {
		return "", errNoAxe
	}
	return string(b), err
})

// ask returns what one of the checks found.
func (p *Page) ask(check string) []string {
	p.t.Helper()
	return Eval[[]string](p, checks+"."+check)
}

// Layout returns what sticks out of the window or of its box and what is cut off.
func (p *Page) Layout() []string { return p.ask("layout()") }

// Targets returns what is too small to be hit with a finger.
func (p *Page) Targets() []string { return p.ask("targets()") }

// Words returns what is wrong with the text of a page that should be in a language:
// keys of the catalogue, holes, text that is not translated, text of the other
// direction that is not set apart; and language, direction and title of the page.
func (p *Page) Words(l i18n.Language) []string { return p.ask("words(" + quote(l.Tag()) + ")") }

// Keyboard walks through the page by Tab and returns what is not reached, in which
// place the order is not that of the page, and where one does not see the focus.
func (p *Page) Keyboard() []string {
	p.t.Helper()
	n := Eval[int](p, checks+".walk()")
	for range (n + 3) / 4 {
		p.Press(strings.Repeat(Tab, 4))
	}
	for range n + 2 {
		if Eval[bool](p, checks+".walked()") {
			break
		}
		p.Press(Tab)
	}
	return p.ask("endWalk()")
}

// colourRules are the rules of axe-core whose answer can change with the colours of a page.
var colourRules = []string{"color-contrast", "link-in-text-block"}

// Axe returns which rules of accessibility (WCAG 2.2 A and AA, and good practice) the
// page breaks, by axe-core.
func (p *Page) Axe() []string {
	p.t.Helper()
	return p.axeOf()
}

// axeOf is Axe for the rules with these names, or all if there are none.
func (p *Page) axeOf(rules ...string) []string {
	p.t.Helper()
	script, err := axe()
	switch {
	case errors.Is(err, errNoAxe) && os.Getenv("SANAD_REQUIRE_NPM") != "1":
		p.t.Skip(err)
	case err != nil:
		p.t.Fatal(err)
	}
	if Eval[bool](p, "globalThis.axe === undefined") {
		run(p, "load axe", chromedp.Evaluate[chromedp.Void](script))
	}
	var names []string
	for _, r := range rules {
		names = append(names, quote(r))
	}
	return p.ask("axe(" + strings.Join(names, ", ") + ")")
}

// Check judges the page that is open, which should be in language l, at each of the
// [Widths]. Where the language runs from left to right axe asks everything at the narrowest on a light ground, and about
// colours once more at the widest on a dark one. It asks about elements, which are the same the other way; so there it
// comes in the nightly run only, and a page is to be checked in a language of each direction. It reports everything that
// is wrong as errors of the test and leaves the window at the last width.
func (p *Page) Check(name string, l i18n.Language) {
	p.t.Helper()
	for i, width := range Widths {
		p.Size(width, 800)
		p.Dark(i > 0)
		at := fmt.Sprintf("%d px", width)
		p.report(name, l, at, p.Layout())
		switch i {
		case 0:
			p.report(name, l, at, p.Targets())
			if l.Direction() == "ltr" || os.Getenv("SANAD_SOAK") == "1" {
				p.report(name, l, at+" light", p.Axe())
			}
		case len(Widths) - 1:
			if l.Direction() == "ltr" {
				p.report(name, l, at+" dark", p.axeOf(colourRules...))
			}
		}
	}
	p.Dark(false)
	p.report(name, l, "text", p.Words(l))
	p.report(name, l, "keyboard", p.Keyboard())
	p.report(name, l, "browser", p.Complaints())
}

// Glance is the part of Check that depends on the language most: whether the page
// fits the narrowest window and is translated.
func (p *Page) Glance(name string, l i18n.Language) {
	p.t.Helper()
	p.Size(Widths[0], 800)
	p.report(name, l, "layout", p.Layout())
	p.report(name, l, "text", p.Words(l))
	p.report(name, l, "browser", p.Complaints())
}

// CheckSettings judges the page under what people set who see badly or are made ill by
// motion: at a zoom of 400 % of a window of 1280 by 1024 nothing sticks out, with colours
// that the system forces everything is still there, and with reduced motion nothing moves.
// With SANAD_PICTURES it leaves pictures in that folder for people to look at. It leaves
// the page at 400 %.
func (p *Page) CheckSettings(name string, l i18n.Language) {
	p.t.Helper()
	look := func(what string) {
		if dir := os.Getenv("SANAD_PICTURES"); dir != "" {
			p.Picture(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+"-"+what+"-"+l.Tag()+".png"))
		}
	}
	p.Size(Widths[0], 800)
	p.Prefer(map[string]string{"forced-colors": "active"})
	if !Eval[bool](p, `matchMedia("(forced-colors: active)").matches`) {
		p.t.Error("this browser forces no colours")
	}
	p.report(name, l, "forced colours", p.Layout())
	p.report(name, l, "forced colours", p.ask("edges()"))
	look("forced")
	p.Prefer(map[string]string{"prefers-reduced-motion": "reduce"})
	p.report(name, l, "reduced motion", p.ask("motion()"))
	p.Prefer(nil)
	p.Size(Widths[len(Widths)-1]/4, 256)
	p.report(name, l, "400 %", p.Layout())
	look("zoom")
}

func (p *Page) report(name string, l i18n.Language, where string, found []string) {
	p.t.Helper()
	const most = 12
	for i, f := range found {
		if i == most {
			p.t.Errorf("%s, %s, %s: and %d more", name, l, where, len(found)-most)
			return
		}
		p.t.Errorf("%s, %s, %s: %s", name, l, where, f)
	}
}
