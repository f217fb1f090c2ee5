package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// clockLead is how far the clock may lie ahead of the last thing that was done before
// somebody has to say that it is right: twice the week after which verifiers want a newer
// bundle, and less than a month that was set wrongly.
const clockLead = 14 * 24 * time.Hour

func (p *program) clockCommand() *cobra.Command {
	return cli.Group("clock", "Say that the clock is right after a long pause",
		`Dates of issue, of status lists and of trust bundles never go back. A clock that is far ahead for a moment would leave a date behind that
nothing can be published before. So nothing is changed while the clock lies more than 14 days ahead of the last entry of the audit log.`,
		p.clockAccept())
}

func (p *program) clockAccept() *cobra.Command {
	return &cobra.Command{
		Use: "accept DATE", Short: "The clock is right, today is DATE: go on", Args: cobra.ExactArgs(1),
		Long: `Writes into the audit log that the clock is right, from which everything goes on. Look at a calendar, not at this machine: DATE is today's
date in UTC, and the command fails if the clock of the machine has another one.`,
		Example: "  issuer clock accept 2026-11-22 --dir office",
		RunE: p.office(writeOnly, func(cmd *cobra.Command, a *app, args []string) error {
			now := a.now().UTC()
			if _, err := time.Parse(time.DateOnly, args[0]); err != nil {
				return p.Misused(cli.Hint(fmt.Errorf("%q is not a date", args[0]), "for example 2026-11-22"))
			}
			if today := now.Format(time.DateOnly); today != args[0] {
				return cli.Hint(fmt.Errorf("the clock of this machine says %s, not %s", today, args[0]), "set the clock")
			}
			last, err := a.store.AuditLast(cmd.Context())
			if err != nil {
				return err
			}
			if now.Before(last) {
				return cli.Hint(errors.New("the clock lies behind the last entry of the audit log, "+last.Format(time.RFC3339)), "see \"Time\" in docs/operating.md")
			}
			e := audit.Event{
				Time: now, Kind: audit.ClockAccepted, Actor: a.actor, Detail: "the entry before is of " + last.Format(time.RFC3339),
			}
			err = a.store.Write(store.AnyClock(cmd.Context()), func(tx issuance.Tx) error { return tx.Append([]audit.Event{e}) })
			if err != nil {
				return err
			}
			view := map[string]any{"now": now.Truncate(time.Second), "last_entry": last}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "accepted: it is %s; the last thing was done at %s\n", now.Format(time.RFC3339), last.Format(time.RFC3339))
			})
		}),
	}
}
