package credential_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
)

func TestCheckDates(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var none time.Time
	for _, tt := range []struct {
		name                         string
		issuedAt, notBefore, expires time.Time
		ok                           bool
	}{
		{"all", at, at, at.Add(time.Second), true},
		{"no end", at, at.AddDate(1, 0, 0), none, true},
		{"the last second", at, none, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), true},
		{"the year 10000", at, none, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"before 1970", time.Unix(-1, 0), none, none, false},
		{"half a second", at, at.Add(time.Millisecond), none, false},
		{"ends as it is issued", at, none, at, false},
		{"ends as it begins", at, at.Add(time.Hour), at.Add(time.Hour), false},
	} {
		if err := credential.CheckDates(tt.issuedAt, tt.notBefore, tt.expires); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestStatusRefCheck(t *testing.T) {
	bad := errors.New("no text")
	text := func(s string) error {
		if s == "" {
			return bad
		}
		return nil
	}
	if err := (*credential.StatusRef)(nil).Check(text, 0); err != nil {
		t.Errorf("none: %v", err)
	}
	for ref, ok := range map[credential.StatusRef]bool{
		{URI: "https://status.example/1", Index: 7}: true, {URI: "https://status.example/1", Index: 8}: false,
		{URI: "status.example/1"}: false, {URI: "https://"}: false, {URI: "https://a b"}: false, {}: false,
	} {
		if err := ref.Check(text, 7); (err == nil) != ok {
			t.Errorf("%+v: %v", ref, err)
		}
	}
}
