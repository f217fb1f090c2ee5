package work_test

import (
	"context"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/work"
)

// told is an issuer that tells what its audit log says.
type told struct {
	work.Issuer
	history func([]issuance.Credential) work.History
}

func (t told) History(_ context.Context, c []issuance.Credential) (work.History, error) {
	return t.history(c), nil
}

// TestTimelineOfLog: a timeline says who did what to a credential, whoever that was, and
// says what it does not know.
func TestTimelineOfLog(t *testing.T) {
	b := newBed(t)
	b.signed(1)
	made := b.see(clerk, 1).Credentials[0]
	signed := audit.Event{Time: made.IssuedAt, Kind: audit.CredentialSigned, Actor: "op-batch", Credential: made.ID, Batch: "01BATCH"}
	tests := []struct {
		name string
		h    work.History
		want map[string]string // deed to actor and reason
		not  []string
	}{
		{"all of it", work.History{Events: []audit.Event{
			{Time: made.IssuedAt, Kind: audit.CredentialIntended, Actor: "op-batch", Credential: made.ID}, signed,
			{Time: made.IssuedAt.Add(time.Hour), Kind: audit.CredentialSuspended, Actor: "root", Credential: made.ID, Reason: "lost"},
		}}, map[string]string{"credential.signed": "op-batch ", "credential.suspended": "root lost"}, []string{"credential.intended", work.Unfound, work.Behind}},
		{"no signature", work.History{}, map[string]string{work.Unfound: " "}, []string{"credential.signed", work.Behind}},
		{"behind", work.History{Events: []audit.Event{signed}, Behind: true}, map[string]string{work.Behind: " "}, []string{work.Unfound}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desk := b.open(func(c *work.Config) {
				c.Issuer = told{c.Issuer, func(all []issuance.Credential) work.History {
					if len(all) != 1 || all[0].ID != made.ID {
						t.Errorf("asked for %d credentials", len(all))
					}
					return tt.h
				}}
			})
			lines, err := desk.Timeline(t.Context(), clerk, b.see(clerk, 1))
			b.must(err)
			got := map[string]string{}
			for _, l := range lines {
				got[l.Deed] = l.Actor + " " + l.Reason
				if l.Deed == "credential.signed" && l.Batch != "01BATCH" {
					t.Errorf("the batch is %q", l.Batch)
				}
			}
			for deed, want := range tt.want {
				if have, ok := got[deed]; !ok || have != want {
					t.Errorf("%s: %q, want %q", deed, have, want)
				}
			}
			for _, deed := range tt.not {
				if _, ok := got[deed]; ok {
					t.Errorf("the timeline says %s", deed)
				}
			}
			if got["asked"] == "" || got["approved"] == "" {
				t.Errorf("the work of the office is missing: %v", got)
			}
		})
	}
}
