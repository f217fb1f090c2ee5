package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/fsck"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
)

func (p *program) fsckCommand() *cobra.Command {
	var journal string
	c := &cobra.Command{
		Use: "fsck", Short: "Prove that store, lists, publications and audit log agree", Args: cobra.NoArgs,
		Long: `Reads everything that this issuer keeps, as it stands at this moment, and compares: each credential with the audit log; slots with the counters of
their lists; publications with store and log; the log with its hashes, its checkpoints and the journal; the keystore with what was signed. It changes
nothing and may run beside an issuer at work.

Exit status 0 if all agrees, 3 if not, 1 if it could not be checked. docs/operating.md says what each finding means and what to do about it.`,
		Example: "  issuer fsck --dir office\n  issuer fsck --dir office --journal /mnt/second/journal --json",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, _ []string) error {
			r, err := a.fsck(cmd, journal)
			if err != nil {
				return err
			}
			if err := p.Print(cmd, r, func(w io.Writer) { fsckText(w, r, a) }); err != nil {
				return err
			}
			if !r.Clean() {
				return cli.Exit(exitPartial)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&journal, "journal", "", "compare with the journal in `FOLDER` (default: the one in the settings)")
	return c
}

// fsck checks one moment of an issuer.
func (a *app) fsck(cmd *cobra.Command, journal string) (r fsck.Report, err error) {
	ctx := cmd.Context()
	all, err := a.keys.Keys(ctx)
	if err != nil {
		return r, err
	}
	logKeys, err := a.logKeys(all)
	if err != nil {
		return r, err
	}
	c := fsck.Config{Keys: all, Secret: a.keys.Secret, LogKeys: logKeys}
	// The journal comes first: what it knows to be confirmed is then in the snapshot,
	// also while another process goes on working.
	if journal = cmp.Or(journal, a.cfg.Journal); journal != "" {
		j, err := audit.OpenJournal(journal)
		if err != nil {
			return r, err
		}
		defer j.Close() // only read
		c.Journal = j
	}
	snap, err := a.store.Snapshot(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	bar := newByteBar(cmd, "checking")
	defer bar.done()
	c.Source, c.Progress = snap, bar.rows
	c.Pages = func(ctx context.Context) (string, error) { return snap.CheckPages(ctx) }
	return fsck.Check(ctx, c)
}

// logKeys are the keys of the audit log under every name that it had.
func (a *app) logKeys(all []keys.Key) (string, error) {
	base := a.cfg.Issuer.URL
	if u, err := url.Parse(base); err == nil {
		base = u.Host
	}
	base += "/audit/" + a.cfg.Issuer.ID
	var text strings.Builder
	for n := int64(1); n <= a.store.LogNo(); n++ {
		origin := base
		if n > 1 {
			origin += fmt.Sprintf("/%d", n)
		}
		for _, k := range all {
			if k.Purpose != keys.Audit {
				continue
			}
			vkey, err := audit.VerifierKey(origin, k.Public)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&text, vkey)
		}
	}
	return text.String(), nil
}

func fsckText(w io.Writer, r fsck.Report, a *app) {
	fmt.Fprintf(w, "%d credentials in %d lists, %d audit entries (root %s), %d checkpoints, %d publications", r.Credentials, r.Lists, r.Entries,
		r.Root, r.Checkpoints, r.Published)
	if r.Journal > 0 {
		fmt.Fprintf(w, ", %d entries of the journal", r.Journal)
	}
	fmt.Fprintln(w)
	if why := a.store.Fenced(); why != "" {
		fmt.Fprintf(w, "this issuer takes no work (%s): `issuer restore confirm`\n", why)
	}
	if r.Clean() {
		fmt.Fprintln(w, "all of it agrees")
		return
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s: %s: %s\n", f.Code, cli.Visible(f.Subject), cli.Visible(f.Detail))
	}
	for code, n := range r.More {
		fmt.Fprintf(w, "%s: %d more\n", code, n)
	}
	fmt.Fprintln(w, "hint: docs/operating.md, \"What fsck finds\", says what to do; keep a copy of everything before changing anything")
}
