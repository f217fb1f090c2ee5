package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
)

// credentialView is a credential as --json shows it: what the store keeps,
// which is nothing about the person.
type credentialView struct {
	ID         string     `json:"credential_id"`
	Programme  string     `json:"programme"`
	Version    int        `json:"programme_version"`
	State      string     `json:"state"`
	Reason     string     `json:"reason,omitempty"`
	IssuedAt   time.Time  `json:"issued_at"`
	Expires    *time.Time `json:"expires,omitempty"`
	Changed    time.Time  `json:"changed"`
	Supersedes string     `json:"supersedes,omitempty"`
	PartOf     string     `json:"part_of,omitempty"`
	Batch      string     `json:"batch,omitempty"`
	Forms      []formView `json:"forms"`
}

type formView struct {
	Form        string `json:"form"`
	StatusURI   string `json:"status_uri,omitempty"`
	StatusIndex uint64 `json:"status_index"`
	Key         string `json:"key"`
}

func viewCredential(c issuance.Credential) credentialView {
	v := credentialView{
		ID: c.ID, Programme: c.Programme, Version: c.Version, State: string(c.State), Reason: string(c.Reason),
		IssuedAt: c.IssuedAt, Changed: c.Changed, Supersedes: c.Supersedes, PartOf: c.PartOf, Batch: c.Batch,
	}
	if !c.Expires.IsZero() {
		v.Expires = &c.Expires
	}
	for _, f := range c.Forms {
		v.Forms = append(v.Forms, formView{Form: f.Form, StatusURI: f.Slot.List, StatusIndex: f.Slot.Index, Key: f.Key.String()})
	}
	return v
}

func (v credentialView) text(w io.Writer) {
	fmt.Fprintf(w, "%s  %s (version %d)\n", v.ID, v.Programme, v.Version)
	fmt.Fprintf(w, "  state    %s", v.State)
	if v.Reason != "" {
		fmt.Fprintf(w, " (%s)", strings.ReplaceAll(v.Reason, "_", " "))
	}
	fmt.Fprintf(w, ", since %s\n  issued   %s", v.Changed.Format(time.RFC3339), v.IssuedAt.Format(time.RFC3339))
	if v.Expires != nil {
		fmt.Fprintf(w, ", expires %s", v.Expires.Format(time.RFC3339))
	}
	fmt.Fprintln(w)
	if v.Supersedes != "" {
		fmt.Fprintf(w, "  replaces %s\n", v.Supersedes)
	}
	if v.PartOf != "" {
		fmt.Fprintf(w, "  part of  %s\n", v.PartOf)
	}
	for _, f := range v.Forms {
		fmt.Fprintf(w, "  form     %s, slot %d of %s, key %s\n", f.Form, f.StatusIndex, f.StatusURI, f.Key)
	}
}

// changed prints a credential after a change and says when verifiers see it.
func (p *program) changed(cmd *cobra.Command, c issuance.Credential) error {
	v := viewCredential(c)
	if err := p.Print(cmd, v, v.text); err != nil {
		return err
	}
	cli.Say(cmd, "next: `issuer trust export` (verifiers learn of it from the next bundle on)")
	return nil
}

// explain adds to an error about a credential what a person can do.
func explain(err error) error {
	switch {
	case errors.Is(err, issuance.ErrNoCredential):
		return cli.Hint(err, "credential ids are in the manifest.csv of a batch; `issuer status --programme P --record ID` finds one by its record")
	case errors.Is(err, issuance.ErrPart):
		return cli.Hint(err, "change the credential that it is a part of; `issuer status` shows both")
	case errors.Is(err, issuance.ErrFinal):
		return cli.Hint(err, "revoked is final; issue a new credential for the record instead")
	case errors.Is(err, issuance.ErrNotAllowed):
		return cli.Hint(err, "the programme would need status: {suspend: true} when the credential was issued; revoke it, or issue anew")
	}
	return err
}

func reasonNames() string {
	var names []string
	for _, r := range issuance.Reasons() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func (p *program) revokeCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke CREDENTIAL_ID --reason R", Short: "End a credential for good", Args: cobra.ExactArgs(1),
		Long: "Revokes every form of a credential. That is final: no command and no direct change of the database brings it back.\nThe reason stays in the office (store and audit log) and is never published. Reasons: " +
			reasonNames() + ".\nAny other text is recorded as other and not kept, since it may be about a person.",
		Example: "  issuer revoke --dir office 01KAF3ZJ9Q4V8M2T6R0XWYB5CD --reason lost",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			r, err := parseReason(cmd, reason)
			if err != nil {
				return err
			}
			return p.change(cmd, func(app *app) (issuance.Credential, error) {
				return app.service.Revoke(cmd.Context(), args[0], r, app.actor)
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why: "+reasonNames()+" (required)")
	_ = c.MarkFlagRequired("reason")
	return c
}

func (p *program) suspendCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "suspend CREDENTIAL_ID --reason R", Short: "Pause a credential, where its programme allows that", Args: cobra.ExactArgs(1),
		Long:    "A suspended credential is refused by verifiers as \"paused\" until it is resumed or revoked. Reasons: " + reasonNames() + ".",
		Example: "  issuer suspend --dir office 01KAF3ZJ9Q4V8M2T6R0XWYB5CD --reason investigation",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			r, err := parseReason(cmd, reason)
			if err != nil {
				return err
			}
			return p.change(cmd, func(app *app) (issuance.Credential, error) {
				return app.service.Suspend(cmd.Context(), args[0], r, app.actor)
			})
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why: "+reasonNames()+" (required)")
	_ = c.MarkFlagRequired("reason")
	return c
}

func (p *program) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resume CREDENTIAL_ID", Short: "End the pause of a suspended credential", Args: cobra.ExactArgs(1),
		Example: "  issuer resume --dir office 01KAF3ZJ9Q4V8M2T6R0XWYB5CD",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			return p.change(cmd, func(app *app) (issuance.Credential, error) {
				return app.service.Resume(cmd.Context(), args[0], app.actor)
			})
		}),
	}
}

func (p *program) change(cmd *cobra.Command, f func(*app) (issuance.Credential, error)) error {
	app, err := p.open(cmd, readWrite)
	if err != nil {
		return err
	}
	defer app.close()
	c, err := f(app)
	if err != nil {
		return explain(err)
	}
	return p.changed(cmd, c)
}

// alike are words that people write for reasons.
var alike = map[string]issuance.Reason{
	"stolen": issuance.Lost, "died": issuance.Death, "deceased": issuance.Death, "error": issuance.IssuedInError, "mistake": issuance.IssuedInError,
	"changed": issuance.RecordChanged, "holder_request": issuance.Requested, "compromised": issuance.KeyCompromise,
}

// parseReason reads a reason. One that is not on the list becomes "other", and
// what was written is not kept: it may be about a person.
func parseReason(cmd *cobra.Command, s string) (issuance.Reason, error) {
	word := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s)))
	if word == "" {
		return "", cli.Hint(errors.New("no reason"), "one of %s", reasonNames())
	}
	if r, ok := alike[word]; ok {
		return r, nil
	}
	for _, r := range issuance.Reasons() {
		if string(r) == word {
			return r, nil
		}
	}
	cli.Say(cmd, "this reason is not on the list and is recorded as %q; the list is %s", issuance.Other, reasonNames())
	return issuance.Other, nil
}

func (p *program) statusCommand() *cobra.Command {
	var programmeID, record string
	c := &cobra.Command{
		Use: "status [CREDENTIAL_ID]", Short: "Show where a credential stands; publish status lists", Args: cobra.MaximumNArgs(1),
		Example: `  issuer status --dir office 01KAF3ZJ9Q4V8M2T6R0XWYB5CD
  issuer status --dir office --programme birth-certificate --record B-07-2019-00000123
  issuer status publish --dir office --out public/status`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (record != "") || (record != "") != (programmeID != "") {
				return cli.Hint(errors.New("which credential?"), "give its id, or --programme and --record")
			}
			app, err := p.open(cmd, readOnly)
			if err != nil {
				return err
			}
			defer app.close()
			found := []credentialView{}
			if record == "" {
				cred, err := app.service.Credential(cmd.Context(), args[0])
				if err != nil {
					return explain(err)
				}
				found = append(found, viewCredential(cred))
				for part, err := range app.store.Find(cmd.Context(), issuance.Query{PartOf: cred.ID}) {
					if err != nil {
						return err
					}
					found = append(found, viewCredential(part))
				}
			} else {
				q := issuance.Query{Programme: programmeID, Record: app.service.Pseudonym(programmeID, record)}
				for cred, err := range app.store.Find(cmd.Context(), q) {
					if err != nil {
						return err
					}
					found = append(found, viewCredential(cred))
				}
				if len(found) == 0 {
					return fmt.Errorf("no credential of programme %q for that record", programmeID)
				}
			}
			return p.Print(cmd, found, func(w io.Writer) {
				for _, v := range found {
					v.text(w)
				}
			})
		}),
	}
	c.Flags().StringVar(&programmeID, "programme", "", "the programme, with --record")
	c.Flags().StringVar(&record, "record", "", "the record's id in its registry, instead of a credential id")
	c.AddCommand(p.statusPublish(), p.statusShow())
	return c
}
