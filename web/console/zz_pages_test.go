package console_test

import (
	"flag"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/web/console"
	"github.com/sanad-id/sanad/work"
)

// judged are the paths, below the origin, of pages that were judged in a browser.
var judged struct {
	sync.Mutex
	paths []string
}

// TestZEveryPageWasJudged finds routes that lead to pages which no test of this package
// opened in a browser. It stands in the last file, so that it runs after them.
func TestZEveryPageWasJudged(t *testing.T) {
	if flag.Lookup("test.run").Value.String() != "" {
		t.Skip("only some tests run")
	}
	chrometest.New(t) // skips where there is no browser
	// These lead to files, to what scripts read, and to what has no page of its own.
	files := regexp.MustCompile(`/static/|\.(json|csv|zip|pdf)$|/events$|^/console/\{[a-z]+\.\.\.\}$`)
	b := newManaged(t, func(c *console.Config) { c.Work = &work.Desk{} }).s.bed // every part of the console
	hole := regexp.MustCompile(`\\\{[a-z]+(\\\.\\\.\\\.)?\\\}`)
	for _, row := range b.Table() {
		if row.Method != http.MethodGet || files.MatchString(row.Pattern) {
			continue
		}
		path := regexp.MustCompile("^" + hole.ReplaceAllString(regexp.QuoteMeta(strings.TrimSuffix(row.Pattern, "{$}")), "[^/]+") + "$")
		if !slices.ContainsFunc(judged.paths, path.MatchString) {
			t.Errorf("no test looks at %s (%s) in a browser", row.Pattern, row.Name)
		}
	}
}
