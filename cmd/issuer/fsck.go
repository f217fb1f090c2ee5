package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/fsck"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

func (p *program) fsckCommand() *cobra.Command {
	var o fsckOptions
	c := &cobra.Command{
		Use: "fsck", Short: "Prove that store, lists, publications and audit log agree", Args: cobra.NoArgs,
		Long: `Reads everything that this issuer keeps, as it stands at this moment, and compares: each credential with the audit log; slots with the counters of
their lists; publications with store and log; the published folder with both; the log with its hashes, its checkpoints and the journal; the keystore with what was signed. It changes
nothing and may run beside an issuer at work.

Exit status 0 if all agrees, 3 if not, 1 if it could not be checked. A restored issuer that nobody has confirmed yet takes no work; it is said, and is no finding. Below each finding stands what to do about it; docs/operating.md says more.`,
		Example: "  issuer fsck --dir office\n  issuer fsck --dir office --journal /mnt/second/journal --json",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, _ []string) error {
			r, err := a.fsck(cmd, o)
			if err != nil {
				return err
			}
			view := struct {
				fsck.Report
				Fenced string `json:"fenced,omitempty"` // why this issuer takes no work
			}{r, a.store.Fenced()}
			if err := p.Print(cmd, view, func(w io.Writer) { fsckText(w, r, a) }); err != nil {
				return err
			}
			if !r.Clean() {
				return cli.Exit(exitPartial)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&o.journal, "journal", "", "compare with the journal in `FOLDER` (default: the one in the settings)")
	c.Flags().StringVar(&o.published, "published", "", "compare with what is published in `FOLDER` (default: serve.published of the settings)")
	return c
}

type fsckOptions struct{ journal, published string }

// fsck checks one moment of an issuer.
func (a *app) fsck(cmd *cobra.Command, o fsckOptions) (r fsck.Report, err error) {
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
	if journal := cmp.Or(o.journal, a.cfg.Journal); journal != "" {
		j, err := audit.OpenJournal(journal)
		switch {
		case err != nil && o.journal != "":
			return r, cli.Hint(err, "name the folder with %s of a journal, or of an export", audit.EntriesFile)
		case err != nil:
			return r, explainLostJournal(err)
		}
		defer j.Close() // only read
		// A restore makes an empty journal, which the confirmation begins: it lacks nothing.
		if begun := a.store.Fenced() != store.FenceRestored || o.journal != "" || j.Size() > 0; begun {
			c.Journal = j
		}
	}
	// So does the published folder, and publishers wait until the database was looked at.
	folder, release, err := a.readFolder(ctx, o.published)
	if err != nil {
		return r, err
	}
	c.Folder = folder
	snap, err := a.store.Snapshot(ctx)
	release()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	about, err := a.store.About(ctx)
	if err != nil {
		return r, err
	}
	bar := newByteBar(cmd, "checking")
	defer bar.done()
	c.Source, c.Progress = snap, bar.rows
	c.Pages, c.Indexes, c.Derived, c.Warnings = snap.CheckPages, snap.CheckIndexes, snap.CheckDerived, about.Blind
	if r, err = fsck.Check(ctx, c); err != nil {
		return r, err
	}
	a.checkChains(&r, all)
	return r, a.checkDesk(ctx, &r)
}

// folderPatience is how long fsck waits for a publisher of the folder.
const folderPatience = 10 * time.Second

// readFolder reads the published folder, nil if there is none, and keeps publishers away
// until release is called. One that was named must be there.
func (a *app) readFolder(ctx context.Context, named string) (f *fsck.Folder, release func(), err error) {
	release = func() {}
	folder := cmp.Or(named, a.cfg.Serve.Published)
	if folder == "" {
		return nil, release, nil
	}
	waiting, cancel := context.WithTimeout(ctx, folderPatience)
	defer cancel()
	switch held, err := holdFolder(waiting, folder); {
	case err == nil:
		release = held
	case errors.Is(err, fs.ErrNotExist) && named == "":
		// What should be in it is missing.
	default:
		return nil, release, err
	}
	if f, err = fsck.ReadFolder(folder, a.now()); err != nil {
		release()
	}
	return f, release, err
}

// mostFindings of one kind are named.
const mostFindings = 100

// checkDesk looks at what the console keeps: whether it can be read, and whether the
// store knows the credentials that its work names.
func (a *app) checkDesk(ctx context.Context, r *fsck.Report) error {
	there, err := hasPeople(a.cfg)
	if err != nil || !there {
		return err
	}
	found := func(code fsck.Code, subject, detail string) {
		r.Add(code, subject, detail)
	}
	db, err := openPeople(ctx, a.cfg)
	if err != nil {
		found(fsck.Desk, "", err.Error())
		return nil
	}
	defer db.Close() // only read
	if bad, err := db.Check(ctx); err != nil || bad != "" {
		found(fsck.Desk, "", cmp.Or(bad, fmt.Sprint(err)))
		return nil
	}
	n := 0
	var lost error // of the store
	err = db.Credentials(ctx, func(item, id string) error {
		_, lost = a.store.Credential(ctx, id)
		if errors.Is(lost, issuance.ErrNoCredential) {
			if n++; n <= mostFindings {
				found(fsck.DeskCredential, item, "names the credential "+id+", which is not in the store")
			}
			lost = nil
		}
		return lost
	})
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case lost == nil:
		found(fsck.Desk, "", err.Error())
	case errors.Is(lost, store.ErrCorrupt):
		found(fsck.Pages, "", lost.Error())
	default:
		return lost
	}
	return nil
}

// checkChains looks at the certificates of keys.
func (a *app) checkChains(r *fsck.Report, all []keys.Key) {
	found := func(name, detail string) {
		r.Add(fsck.Chain, name, detail)
	}
	files, err := chainFiles(string(a.chains()))
	if err != nil {
		found(chainsName, err.Error())
	}
	if _, err := a.chains().Roots(); err != nil {
		found("roots.pem", err.Error())
	}
	for _, f := range files {
		id := strings.TrimSuffix(f.Name, ".pem")
		if id == "roots" {
			continue
		}
		i := slices.IndexFunc(all, func(k keys.Key) bool { return k.ID().String() == id })
		if i < 0 {
			found(f.Name, "is of no key of this keystore")
			continue
		}
		if _, _, err := a.chains().Leaf(all[i].Public); err != nil {
			found(f.Name, err.Error())
		}
	}
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
	if r.Files > 0 {
		fmt.Fprintf(w, ", %d published files", r.Files)
	}
	fmt.Fprintln(w)
	why := a.store.Fenced()
	switch why {
	case "":
	case store.FenceRestored:
		fmt.Fprintf(w, "this issuer takes no work (%s), as after every restore, until that is confirmed.\n", why)
		fmt.Fprintln(w, "next: `issuer restore confirm --journal FOLDER --check`, then without --check. FOLDER is the journal from before the restore; "+
			"`issuer fsck --journal FOLDER` counts what it has beyond the backup")
	default:
		fmt.Fprintf(w, "this issuer takes no work (%s): `issuer restore confirm`\n", why)
	}
	for _, s := range r.Warnings {
		fmt.Fprintln(w, "warning: "+s)
	}
	if r.Clean() && why == store.FenceRestored {
		fmt.Fprintln(w, "all of it agrees: nothing is wrong, it only waits to be confirmed")
		return
	}
	if r.Clean() {
		fmt.Fprintln(w, "all of it agrees")
		return
	}
	for _, code := range fsck.Codes() {
		any := false
		for _, f := range r.Findings {
			if f.Code == code {
				fmt.Fprintf(w, "%s: %s: %s\n", f.Code, cli.Visible(cmp.Or(f.Subject, "the database")), cli.Visible(f.Detail))
				any = true
			}
		}
		if n := r.More[code]; n > 0 {
			fmt.Fprintf(w, "%s: %d more\n", code, n)
		}
		if any && code == fsck.JournalAhead && why == store.FenceRestored {
			fmt.Fprintln(w, "  after a restore that is as it should be: it was done since the backup")
		}
		if any {
			fmt.Fprintf(w, "  what to do: %s\n", code.Remedy())
		}
	}
	fmt.Fprintln(w, "hint: keep a copy of everything before changing anything; docs/operating.md, \"What fsck finds\", says what findings mean")
}
