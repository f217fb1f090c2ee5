package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/web/scanner"
)

// scanning measures P14: the scanner page's own worker, in Chromium, with the page's files
// from its service worker. The first check is that of a worker that was just made: it
// reads, compiles and starts the program, opens a bundle with a list of a million slots,
// and judges one code. A check after warm-up is a message to the worker and back, with the
// report and its words.
func scanning(rounds int) (rows []row) {
	size, err := wasmSize()
	if err != nil {
		fmt.Printf("P14: left out, %v\n\n", err)
		return nil
	}
	rows = append(rows, row{id: "P14", measure: "verifier as WASM, gzipped, MB", subject: "sanad.wasm", baseline: "-", floor: 2.0, goal: 1.6, lower: true, format: "%.3f"}.once(float64(size)/1e6))
	h := &harness{}
	defer func() {
		for _, f := range slices.Backward(h.cleanups) {
			f()
		}
		if failed, ok := recover().(harnessFailed); ok {
			fmt.Printf("P14: left out, %v\n\n", failed.err)
		}
	}()
	first, checks := inChromium(h, rounds)
	ms := func(measure string, values []float64, floor, goal float64) row {
		slices.Sort(values)
		n := len(values)
		fmt.Printf("P14: %s: the fastest of %d: %.1f\n", measure, n, values[0]) // of a busy machine it says most
		return row{
			id: "P14", measure: measure, subject: "the page's worker", baseline: "-", floor: floor, goal: goal, lower: true, format: "%.1f",
			value: values[n/2], low: values[n/4], high: values[n*3/4],
		}
	}
	return append(rows, ms("first check in the browser, ms", first, 300, 150), ms("check after warm-up, ms", checks, 10, 5))
}

// wasmSize is what a telephone loads of the verifier: the file as programs embed and serve it.
func wasmSize() (int64, error) {
	f, err := os.Stat("web/scanner/dist/sanad.wasm.gz")
	if err != nil {
		return 0, fmt.Errorf("the page is not made (make web): %w", err)
	}
	return f.Size(), nil
}

// inChromium returns the milliseconds of first checks and of later ones, of as many workers
// as there are rounds.
func inChromium(h *harness, rounds int) (first, checks []float64) {
	testing.Init() // chrometest asks for -short
	now := time.Now().UTC().Truncate(time.Second)
	issuer, _ := newSigner(keys.Credential, now)
	bundle := must(bundleOf(issuer, now.Add(-time.Hour)))
	token := birthCertificate(now.Add(-2*time.Hour), true)
	token.Issuer, token.Type, token.Status = "https://agri.gov.example", vct, &credential.StatusRef{URI: listURI, Index: 734_511}
	draft := must(cwt.NewDraft(token, issuer.Key().Public))
	code := must(qr.Encode(must(draft.Sign(rand.Reader, issuer, now))))

	dir := must(os.MkdirTemp("", "sanad-bench-"))
	defer os.RemoveAll(dir) //nolint:errcheck // a folder of files
	must(0, scanner.Export(dir, scanner.ExportOptions{Trust: bundle}))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	p := chrometest.New(h)
	p.Open(server.URL + "/")
	p.Wait("body[data-offline=ready]")
	p.WaitText("Lists of")
	script := fmt.Sprintf(`(async () => {
		const bytes = (text) => new TextEncoder().encode(text), code = %s;
		const settings = await (await fetch("settings.json")).json();
		const bundle = new Uint8Array(await (await fetch(settings.trust)).arrayBuffer());
		const worker = new Worker("judge.js");
		let answer;
		worker.onmessage = ({ data }) => answer(JSON.parse(data.answer));
		const ask = (operation, ...args) => new Promise((resolve) => { answer = resolve; worker.postMessage({ id: 1, operation, args: ["en", ...args] }); });
		const began = performance.now();
		const imported = await ask("import", bundle, settings.fingerprint);
		const judged = await ask("check", bytes(code), "");
		const first = performance.now() - began;
		if (!imported.done || judged.report.verdict !== "valid") throw new Error(JSON.stringify([imported, judged]));
		const checks = [];
		for (let i = 0; i < 150; i++) {
			const began = performance.now();
			await ask("check", bytes(code), "");
			if (i >= 50) checks.push(performance.now() - began);
		}
		worker.terminate();
		return { first, checks };
	})()`, must(json.Marshal(code)))
	for range rounds {
		took := chrometest.Eval[struct {
			First  float64
			Checks []float64
		}](p, script)
		first, checks = append(first, took.First), append(checks, took.Checks...)
	}
	return first, checks
}
