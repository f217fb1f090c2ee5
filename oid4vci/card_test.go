package oid4vci_test

import (
	"strings"
	"testing"

	"github.com/sanad-id/sanad/oid4vci"
)

// Cards are a format of their own, with a type and with proofs of keys.
func TestCardConfiguration(t *testing.T) {
	m, _ := metadata(t)
	m.Configurations = m.Configurations[:1]
	m.Configurations[0].Format, m.Configurations[0].Type = oid4vci.CWTFormat, "urn:xa:card:1"
	b, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"format":"sd-cwt"`) {
		t.Errorf("metadata: %s", b)
	}
	got, err := oid4vci.Reader{}.IssuerMetadata(b, issuer)
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Configurations[0]; c.Format != oid4vci.CWTFormat || c.Type != "urn:xa:card:1" || len(c.Proofs) == 0 {
		t.Errorf("%+v", c)
	}
	for name, old := range map[string]string{"without a type": `"vct":"urn:xa:card:1"`, "with a type that is none": `"vct":"urn:xa:card:1"`} {
		new := map[string]string{"without a type": `"x":1`, "with a type that is none": `"vct":7`}[name]
		if _, err := (oid4vci.Reader{}).IssuerMetadata([]byte(strings.Replace(string(b), old, new, 1)), issuer); err == nil {
			t.Errorf("a card %s was taken", name)
		}
	}
}
