package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// A stateView is how an issuer stands, as --json shows it.
type stateView struct {
	Issuer       string       `json:"issuer"`
	Fenced       string       `json:"fenced,omitempty"`
	Epoch        int64        `json:"epoch"`
	AuditEntries int64        `json:"audit_entries"`
	Journal      *journalView `json:"journal,omitempty"`
	Audit        auditDebt    `json:"audit"`
	Lists        []listView   `json:"lists"`
	Trust        *listView    `json:"trust,omitempty"`
	// Cards says what the restore cards lack, "" if nothing.
	Cards string `json:"restore_cards,omitempty"`
}

type journalView struct {
	Folder  string `json:"folder"`
	Entries int64  `json:"entries"`
	Error   string `json:"error,omitempty"`
}

type listView struct {
	URI      string    `json:"uri,omitempty"`
	Number   uint64    `json:"number"`
	IssuedAt time.Time `json:"issued_at"`
}

func (p *program) statusShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show how the office stands: journal, witnesses, publications", Args: cobra.NoArgs,
		Example: "  issuer status show --dir office",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, _ []string) error {
			v, err := a.state(cmd)
			if err != nil {
				return err
			}
			return p.Print(cmd, v, func(w io.Writer) { v.text(w, a.now()) })
		}),
	}
}

// state looks at everything and changes nothing.
func (a *app) state(cmd *cobra.Command) (stateView, error) {
	v := stateView{Issuer: a.cfg.Issuer.ID, Fenced: a.store.Fenced(), Epoch: a.store.Epoch(), Lists: []listView{}}
	if a.cfg.Journal != "" {
		v.Journal = lookAtJournal(a.cfg.Journal) // before the log, which may grow meanwhile
	}
	var err error
	if v.AuditEntries, err = a.store.AuditSize(cmd.Context()); err != nil {
		return v, err
	}
	if v.Audit, err = a.debt(cmd.Context()); err != nil {
		return v, err
	}
	if v.Cards, err = a.cardWarning(cmd.Context()); err != nil {
		return v, err
	}
	lists, err := a.store.Lists(cmd.Context())
	if err != nil {
		return v, err
	}
	for _, l := range lists {
		last, err := a.store.Publication(cmd.Context(), l.URI)
		if err != nil {
			return v, err
		}
		v.Lists = append(v.Lists, listView{l.URI, last.Number, last.IssuedAt})
	}
	last, err := a.store.Publication(cmd.Context(), issuance.TrustName)
	if err == nil && last.Number > 0 {
		v.Trust = &listView{Number: last.Number, IssuedAt: last.IssuedAt}
	}
	return v, err
}

// lookAtJournal opens the journal for a look.
func lookAtJournal(folder string) *journalView {
	v := &journalView{Folder: folder}
	j, err := audit.OpenJournal(folder)
	if err != nil {
		v.Error = err.Error()
		return v
	}
	v.Entries = j.Size()
	if err := j.Close(); err != nil {
		v.Error = err.Error()
	}
	return v
}

func (v stateView) text(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "%s: %d audit entries, epoch %d\n", v.Issuer, v.AuditEntries, v.Epoch)
	if v.Fenced != "" {
		fmt.Fprintf(w, "WARNING: the database is closed for work (%s): `issuer restore confirm`\n", v.Fenced)
	}
	switch {
	case v.Journal == nil:
		fmt.Fprintln(w, "journal    none")
	case v.Journal.Error != "":
		fmt.Fprintf(w, "journal    WARNING: nothing can be changed: %s\n", v.Journal.Error)
	default:
		fmt.Fprintf(w, "journal    %d entries in %s\n", v.Journal.Entries, v.Journal.Folder)
		if v.Journal.Entries > v.AuditEntries {
			fmt.Fprintf(w, "journal    WARNING: the database has lost what it had confirmed: `issuer fsck`\n")
		}
	}
	fmt.Fprintf(w, "witnesses  %s\n", v.Audit)
	if v.Cards != "" {
		fmt.Fprintf(w, "cards      WARNING: %s\n", v.Cards)
	}
	ago := func(l listView) string {
		if l.Number == 0 {
			return "never published"
		}
		return fmt.Sprintf("number %d, %s old", l.Number, now.Sub(l.IssuedAt).Round(time.Second))
	}
	if v.Trust != nil {
		fmt.Fprintf(w, "bundle     %s\n", ago(*v.Trust))
	}
	for _, l := range v.Lists {
		fmt.Fprintf(w, "list       %s: %s\n", l.URI, ago(l))
	}
}
