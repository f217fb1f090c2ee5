package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/scanner"
)

// times is how many of something a test does: at every change, or at night.
func times(change, night int) int {
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		return night
	case testing.Short():
		return max(change/10, 1)
	}
	return change
}

// A judge is one of the places where Sanad checks. It returns the report on each input
// as JSON.
type judge func(t *testing.T, inputs [][]byte) []string

// TestP15 gives one corpus to the command line, to POST /verify of the server and to the
// scanner page's verifier, which is WASM: their reports are the same text, whatever they
// are given, by the same clock and the same bundle. What wallets show the page does not
// check, and says so; there the other two are compared.
func TestP15(t *testing.T) {
	if testing.Short() {
		t.Skip("no node in -short")
	}
	cryptotest.SetGlobalRandom(t, 15) // keys and signatures: the corpus of a seed is one
	page := startPage(t)
	t.Run("a country", func(t *testing.T) {
		c := handMade(t)
		court := c.convene(t, page)
		verdicts := court.compare(t, c.now, c.inputs(t, times(1600, 80_000), 1))
		if len(verdicts) != 4 {
			t.Errorf("of four verdicts only %v", verdicts)
		}
		n := times(60, 4000)
		some := c.inputs(t, n, 2)
		some = slices.Concat(some[:60], some[len(some)-n:])
		for _, now := range []time.Time{ // a list too old, a bundle overdue, old, and of an ended root; a clock behind, of 1970, far ahead
			asOf.AddDate(0, 0, 9), asOf.AddDate(0, 0, 20), asOf.AddDate(0, 0, 61), asOf.AddDate(9, 0, 0), asOf.AddDate(0, 0, -9), time.Unix(1, 0), asOf.AddDate(3, 0, 0),
		} {
			court.compare(t, now, some)
		}
		(&corpus{now: c.now}).convene(t, page).compare(t, c.now, some)
	})
	t.Run("the programmes of an office", func(t *testing.T) {
		c := issuedByOffice(t)
		c.convene(t, page).compare(t, c.now, c.inputs(t, times(400, 20_000), 3))
	})
}

// A court is the three judges with one bundle.
type court struct {
	*corpus
	library *library
	page    *page
}

// inputs are the seeds and n mutations, each once. What would teach a verifier a newer
// date than its bundle has is left out: a program that ends after each check forgets it.
func (c *corpus) inputs(t *testing.T, n int, seed uint64) (all [][]byte) {
	t.Helper()
	bundle := must[*trust.Bundle](t)(trust.Open(c.trust))
	now := func() time.Time { return c.now }
	rules := must[*verification.Checker](t)(verification.New(verification.Config{COSE: codes{}, SDJWT: wallets{now: now}, Trust: bundle, Now: now}))
	seen, taught := map[[32]byte]bool{}, 0
	add := func(b []byte) bool {
		digest := sha256.Sum256(b)
		if len(b) == 0 || seen[digest] || verifier.ReadProof(b).Kind == "picture" {
			return false
		}
		seen[digest] = true
		if rules.Check(b).Seen.After(bundle.AsOf) {
			taught++
			return false
		}
		all = append(all, b)
		return true
	}
	for _, b := range c.seeds {
		add(b)
	}
	seeds := len(all)
	r := mathrand.New(mathrand.NewPCG(15, seed))
	for made := 0; made < n; {
		if add(c.mutate(r)) {
			made++
		}
	}
	t.Logf("%d seeds, %d mutations; left out: %d that teach a date", seeds, n, taught)
	return all
}

// compare has all judges look at the inputs by one clock, and counts their verdicts.
func (c *court) compare(t *testing.T, now time.Time, inputs [][]byte) (verdicts map[verification.Verdict]int) {
	t.Helper()
	const most = 500
	line := c.commandLine(t, now)
	c.library.now = now
	verdicts = map[verification.Verdict]int{}
	for first := 0; first < len(inputs); first += most {
		part := inputs[first:min(first+most, len(inputs))]
		a, b, w := line(t, part), c.server(t, part), c.page.check(t, now, part)
		for i, input := range part {
			var r struct {
				Verdict verification.Verdict
				Kind    string
			}
			if err := json.Unmarshal([]byte(a[i]), &r); err != nil {
				t.Fatal(err)
			}
			verdicts[r.Verdict]++
			if r.Kind == string(qr.SDJWT) {
				if !strings.Contains(w[i], `"undetermined"`) || !strings.Contains(w[i], "sd jwt, which is not checked here") {
					t.Errorf("P15: the page judges what a wallet shows: %s", w[i])
				}
				w[i] = a[i]
			}
			if c.trust == nil { // each says in words of its own how to get one
				a[i], b[i], w[i] = withoutAdvice(a[i]), withoutAdvice(b[i]), withoutAdvice(w[i])
			}
			if a[i] != b[i] || a[i] != w[i] {
				t.Errorf("P15: input %.4096x\ncommand line %s\nserver       %s\npage         %s", input, a[i], b[i], w[i])
			}
			if t.Failed() {
				t.FailNow() // one is enough to read
			}
		}
	}
	t.Logf("P15: %d inputs by three judges, %v", len(inputs), verdicts)
	return verdicts
}

// withoutAdvice cuts the detail of the check of trust.
func withoutAdvice(report string) string {
	before, rest, ok := strings.Cut(report, `"reason":"no_trust","detail":"`)
	if !ok {
		return report
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

// commandLine is `verifier check --json`.
func (c *corpus) commandLine(t *testing.T, now time.Time) judge {
	dir := t.TempDir()
	flags := []string{"check", "--json", "--dir", filepath.Join(dir, "home"), "--at", now.UTC().Format(time.RFC3339)}
	if c.trust != nil {
		bundle := filepath.Join(dir, "now.trust")
		if err := os.WriteFile(bundle, c.trust, 0o600); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--trust", bundle)
	}
	return func(t *testing.T, inputs [][]byte) []string {
		t.Helper()
		args := flags
		for i, b := range inputs {
			name := filepath.Join(dir, fmt.Sprintf("%04d", i))
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args[:len(args):len(args)], name)
		}
		args = append(args, filepath.Join(dir, "0000")) // of a single file there would be no list
		var stdout, stderr bytes.Buffer
		status := newProgram(func() time.Time { return now }).run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
		if status == 1 || status == 2 {
			t.Fatalf("check: exit status %d\n%s", status, &stderr)
		}
		var all []json.RawMessage
		if err := json.Unmarshal(stdout.Bytes(), &all); err != nil || len(all) != len(inputs)+1 {
			t.Fatalf("check: %d reports on %d files, %v", len(all), len(inputs), err)
		}
		texts := make([]string, len(inputs))
		for i := range texts {
			texts[i] = plain(t, all[i], "file")
		}
		return texts
	}
}

// convene starts `verifier serve` with the bundle of the corpus and gives it to the page.
func (c *corpus) convene(t *testing.T, page *page) *court {
	t.Helper()
	l := newLibrary(t)
	l.certify(t, l.now)
	l.ok(t, "keys", "import-chain", "--chain", l.path("library.pem"), "--root", l.path("root.pem"))
	mark, file := []byte{}, []byte{}
	if c.trust != nil {
		file = c.trust
		st, bundle, err := trust.Accept(trust.State{}, file, func(*trust.Bundle) bool { return true })
		if err == nil {
			mark, err = st.Mark()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(l.path("now.trust"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		l.ok(t, "trust", "import", l.path("now.trust"), "--dir", l.path("library/trust"), "--fingerprint", bundle.Fingerprint())
	}
	l.now = c.now
	l.serve(t)
	answer := page.call(t, "restore", c.now, map[string][]byte{"bytes": mark}, map[string][]byte{"bytes": file})[0]
	if c.trust != nil && strings.HasPrefix(answer, `{"error"`) {
		t.Fatal(answer)
	}
	return &court{c, l, page}
}

// server is POST /verify of `verifier serve`.
func (c *court) server(t *testing.T, inputs [][]byte) []string {
	t.Helper()
	texts := make([]string, len(inputs))
	for i, b := range inputs {
		res, err := http.Post(c.library.priv+"/verify", "application/octet-stream", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		body := must[[]byte](t)(io.ReadAll(res.Body))
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("P15: the server answers %d to %x\n%s", res.StatusCode, b, body)
		}
		texts[i] = plain(t, body, "")
	}
	return texts
}

// A page is the WASM of the scanner page in node.
type page struct {
	in  io.Writer
	out *bufio.Reader
}

// startPage runs it. Without node, or without the page in this build, the test is skipped,
// or fails if SANAD_REQUIRE_NPM is 1.
func startPage(t *testing.T) *page {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "page")
	node, err := exec.LookPath("node")
	if err == nil {
		err = scanner.Export(dir, scanner.ExportOptions{})
	}
	if err != nil {
		if os.Getenv("SANAD_REQUIRE_NPM") == "1" || node != "" && !errors.Is(err, scanner.ErrNotBuilt) {
			t.Fatal(err)
		}
		t.Skipf("no node, or no scanner page in this build (make web): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "judge.mjs"), dir)
	cmd.Stderr = os.Stderr
	in := must[io.WriteCloser](t)(cmd.StdinPipe())
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // its end
		_ = cmd.Wait()
	})
	return &page{in, bufio.NewReaderSize(out, 1<<20)}
}

// call makes a call of the page's verifier, or one for each of the values of an argument.
func (p *page) call(t *testing.T, operation string, now time.Time, args ...any) []string {
	t.Helper()
	b := must[[]byte](t)(json.Marshal(map[string]any{"operation": operation, "now": now.UnixMilli(), "args": append([]any{"en"}, args...)}))
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("P15: the page's verifier ended: %v", err)
	}
	var answers []string
	if err := json.Unmarshal(line, &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}

// check has the page judge inputs.
func (p *page) check(t *testing.T, now time.Time, inputs [][]byte) []string {
	t.Helper()
	answers := p.call(t, "check", now, map[string][][]byte{"each": inputs}, "")
	for i, a := range answers {
		var answer struct {
			Report json.RawMessage
			Error  string
		}
		if err := json.Unmarshal([]byte(a), &answer); err != nil || answer.Error != "" {
			t.Fatalf("P15: the page answers %s to %x (%v)", a, inputs[i], err)
		}
		answers[i] = plain(t, answer.Report, "")
	}
	return answers
}

// plain writes a document with its members in their order and its strings and numbers
// as they are, but in one way of escaping, and without the member that is named.
func plain(t *testing.T, document []byte, without string) string {
	t.Helper()
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var value func(top bool)
	next := func() json.Token { return must[json.Token](t)(d.Token()) }
	write := func(v any) {
		b.Write(must[[]byte](t)(json.Marshal(v)))
	}
	value = func(top bool) {
		switch v := next().(type) {
		case json.Delim:
			b.WriteString(v.String())
			for first := true; d.More(); {
				var name string
				if v == '{' {
					name = next().(string)
				}
				if top && without != "" && name == without {
					next()
					continue
				}
				if !first {
					b.WriteByte(',')
				}
				first = false
				if v == '{' {
					write(name)
					b.WriteByte(':')
				}
				value(false)
			}
			b.WriteString(next().(json.Delim).String())
		default:
			write(v)
		}
	}
	value(true)
	return b.String()
}
