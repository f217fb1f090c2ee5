package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/wallet"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wallet-cli": main})
}

// TestScripts runs the commands as people do.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// TestEveryRefusalHasAdvice: no refusal leaves a person without a next step, and there
// is no advice for one that is gone.
func TestEveryRefusalHasAdvice(t *testing.T) {
	for _, r := range wallet.Refusals() {
		for _, key := range []string{"wallet.advice." + advice[r], "wallet.refused." + string(r)} {
			if !i18n.Has(key) {
				t.Errorf("%s: no sentence %s", r, key)
			}
		}
	}
	if len(advice) != len(wallet.Refusals()) {
		t.Errorf("%d pieces of advice for %d refusals", len(advice), len(wallet.Refusals()))
	}
}
