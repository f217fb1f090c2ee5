package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/trust"
)

// confirmOptions are the flags of restore confirm.
type confirmOptions struct {
	journal                          string
	withoutJournal, nothingPublished bool
	published, programmes            []string
	acceptLostKeys                   bool
	check                            bool
}

func (p *program) restoreConfirm() *cobra.Command {
	var o confirmOptions
	c := &cobra.Command{
		Use: "confirm (--journal FOLDER | --without-journal)", Short: "Bring a restored issuer up to date and open it for work", Args: cobra.NoArgs,
		Long: `With the journal nothing is lost: what it records beyond the backup is done again (credentials, revocations, publications' numbers), the audit log
goes on where the journal ends, every open status list is closed, and the issuer works in a new epoch. Interrupted, the same command goes on.

Without the journal nobody knows what was done since the backup. Give everything that was published since with --published (trust bundles, status list
tokens; newest suffices): what they show as revoked stays revoked. If truly nothing was published, say --nothing-published. The audit log then begins
anew under another name, and credentials issued since the backup stay valid without anybody here knowing of them.

--check says what would be done and changes nothing.`,
		Example: `  issuer restore confirm --dir office --journal /mnt/second/journal --check
  issuer restore confirm --dir office --journal /mnt/second/journal --programme farmers-v2.yaml
  issuer restore confirm --dir office --without-journal --published newest.trust`,
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			if (o.journal == "") == !o.withoutJournal {
				return p.Misused(cli.Hint(errors.New("with the journal or without?"), "--journal FOLDER, or --without-journal if it is lost"))
			}
			if o.withoutJournal && (len(o.published) == 0) == !o.nothingPublished {
				return p.Misused(cli.Hint(errors.New("what was published since the backup?"),
					"--published FILE for the newest trust bundle and status lists, or --nothing-published if there is none"))
			}
			return p.confirm(cmd, o)
		}),
	}
	f := c.Flags()
	f.StringVar(&o.journal, "journal", "", "the journal, or an export of the audit log that is newer than the backup")
	f.BoolVar(&o.withoutJournal, "without-journal", false, "the journal is lost: go on without what was done since the backup")
	f.StringArrayVar(&o.published, "published", nil, "a trust bundle or status list token published since the backup, as `FILE` (repeat); with a journal the newest bundle, if the backup is from before the first")
	f.BoolVar(&o.nothingPublished, "nothing-published", false, "nothing was published since the backup (without journal)")
	f.StringArrayVar(&o.programmes, "programme", nil, "the `FILE` of a programme that was added since the backup (repeat)")
	f.BoolVar(&o.acceptLostKeys, "accept-lost-keys", false, "go on although keys made since the backup are not in the keystore")
	f.BoolVar(&o.check, "check", false, "say what would be done and change nothing")
	return c
}

// confirmView is the result as --json shows it.
type confirmView struct {
	Epoch       int64            `json:"epoch"`
	LogNo       int64            `json:"log_no"`
	Entries     int64            `json:"entries"` // of the journal beyond the backup
	Kinds       map[string]int64 `json:"kinds,omitempty"`
	Compromised []string         `json:"compromised_keys,omitempty"`
	LostKeys    []string         `json:"lost_keys,omitempty"`
	Batches     []string         `json:"closed_batches,omitempty"`
	Revoked     int64            `json:"revoked_as_published"`
	Unknown     int64            `json:"unknown_slots"`
	// Suspended is how many people of the console have to be looked at.
	Suspended int64 `json:"suspended_people"`
	Checked   bool  `json:"only_checked"`

	people changedPeople
}

func (p *program) confirm(cmd *cobra.Command, o confirmOptions) error {
	a, err := p.openFenced(cmd, o)
	if err != nil {
		return err
	}
	defer a.close()
	v := confirmView{Epoch: a.store.Epoch(), LogNo: a.store.LogNo(), Checked: o.check}
	var detail string
	if o.withoutJournal {
		v.people.all = true
		detail, err = a.confirmPublished(cmd, o, &v)
	} else {
		detail, err = a.confirmJournal(cmd, o, &v)
	}
	if err != nil {
		return err
	}
	if !o.check {
		if err := a.confirmPeople(cmd, &v); err != nil {
			return err
		}
		if err := a.finishConfirm(cmd, o, &v, detail); err != nil {
			return err
		}
	}
	return p.Print(cmd, v, func(w io.Writer) { v.text(w, a, o) })
}

// openFenced opens an issuer that takes no work. Its own journal is filled on the
// way, unless it is the one to be read.
func (p *program) openFenced(cmd *cobra.Command, with confirmOptions) (*app, error) {
	path := p.settings()
	cfg, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	passphrase, err := readPassphrase(cmd, cfg.KeyPassphraseFile, "Passphrase of the keystore")
	if err != nil {
		return nil, err
	}
	ks, err := keys.OpenFile(cfg.Keystore, passphrase)
	if err != nil {
		return nil, explainKeystore(err)
	}
	location, o, err := cfg.ownerStore(ks, p.Now)
	if err != nil {
		return nil, err
	}
	o.WhileFenced = true
	var journal *audit.Journal
	if !sameFolder(cfg.Journal, with.journal) && !with.check {
		if journal, err = openJournal(cfg, readWrite); err != nil {
			return nil, err
		}
	}
	keep(&o, journal)
	db, err := store.Open(cmd.Context(), location, o)
	if err != nil {
		return nil, errors.Join(explainStore(err), closeJournal(journal))
	}
	if db.Fenced() == "" {
		return nil, errors.Join(cli.Hint(errors.New("this issuer is not fenced: there is nothing to confirm"),
			"`issuer fsck` says whether all is in order"), db.Close(), closeJournal(journal))
	}
	a, err := p.assemble(cfg, filepath.Dir(path), ks, db)
	if err != nil {
		return nil, errors.Join(err, db.Close(), closeJournal(journal))
	}
	a.journal = journal
	return a, nil
}

// sameFolder reports whether two paths lead to one folder.
func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// confirmJournal does again what the journal records beyond the backup.
func (a *app) confirmJournal(cmd *cobra.Command, o confirmOptions, v *confirmView) (string, error) {
	j, err := audit.OpenJournal(o.journal)
	if err != nil {
		return "", cli.Hint(err, "name the folder with %s of the journal, or of an export", audit.EntriesFile)
	}
	defer j.Close() // only read
	snap, err := a.store.Snapshot(cmd.Context())
	if err != nil {
		return "", err
	}
	facts, err := snap.Facts(cmd.Context())
	if err != nil {
		return "", errors.Join(err, snap.Close())
	}
	s, err := issuance.SurveyJournal(cmd.Context(), j, facts.Head.Size, func(size int64) (audit.Head, error) {
		return snap.HeadAt(cmd.Context(), size)
	})
	if err = errors.Join(err, snap.Close()); err != nil {
		return "", explainJournal(err)
	}
	v.Entries, v.Kinds = s.To-s.From, map[string]int64{}
	for k, n := range s.Kinds {
		v.Kinds[string(k)] = n
	}
	texts, err := programmeTexts(o.programmes, s)
	if err != nil {
		return "", err
	}
	if err := v.people.read(cmd, j, s.From); err != nil {
		return "", err
	}
	if err := a.confirmKeys(cmd, o, s.Keys, v); err != nil {
		return "", err
	}
	detail := fmt.Sprintf("from a backup of %d entries, journal to %d", s.From, s.To)
	if o.check {
		return detail, nil
	}
	for _, f := range o.published {
		if err := a.adoptBundle(cmd, f); err != nil {
			return "", cli.Hint(fmt.Errorf("%s: %w", f, err), "beside a journal --published takes the newest trust bundle of this issuer")
		}
	}
	bar := replayBar(cmd, s)
	err = a.service.Replay(cmd.Context(), j, s.From, texts, func(done int64) {
		if bar != nil {
			_ = bar.Set64(done - s.From) // a bar that cannot be drawn stops nothing
		}
	})
	if bar != nil {
		_ = bar.Finish()
	}
	return detail, err
}

// adoptBundle takes over a bundle that the backup does not have.
func (a *app) adoptBundle(cmd *cobra.Command, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return err
	}
	pub, err := a.readPublished(b, all)
	if err != nil || pub.Name != issuance.TrustName {
		return err
	}
	return a.service.AdoptBundle(cmd.Context(), pub, b)
}

func replayBar(cmd *cobra.Command, s issuance.Survey) *progressbar.ProgressBar {
	if !cli.IsTerminal(cmd.ErrOrStderr()) {
		return nil
	}
	return progressbar.NewOptions64(s.To-s.From, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionShowCount(),
		progressbar.OptionSetDescription("replaying"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

func explainJournal(err error) error {
	switch {
	case errors.Is(err, issuance.ErrJournalForked):
		return cli.Hint(err, "this is the journal of another issuer or of another time of this one; compare `issuer backup show` with where it comes from")
	case errors.Is(err, issuance.ErrJournalShort):
		return cli.Hint(err, "look for a newer copy of the journal; if there is none, --without-journal")
	}
	return err
}

// programmeTexts reads the programmes that were added since the backup. All must
// be there.
func programmeTexts(files []string, s issuance.Survey) (map[[32]byte][]byte, error) {
	texts := map[[32]byte][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		texts[sha256.Sum256(b)] = b
	}
	var missing []string
	for _, row := range s.Programmes {
		if texts[row.Digest] == nil {
			missing = append(missing, fmt.Sprintf("%s version %d, SHA-256 %s", row.ID, row.Version, hex.EncodeToString(row.Digest[:])))
		}
	}
	if len(missing) > 0 {
		return nil, cli.Hint(fmt.Errorf("programmes were added since the backup, and their files are needed:\n  %s", strings.Join(missing, "\n  ")),
			"--programme FILE, once for each; the file must be the very same")
	}
	return texts, nil
}

// changedPeople notes whom the journal says something about since the backup: those that
// were kept out, and those whose passkeys changed. What was agreed by two people is named
// by its proposal, which may be lost, so then it may be about anybody.
func (p *changedPeople) read(cmd *cobra.Command, j *audit.Journal, from int64) error {
	for line, err := range j.Entries(cmd.Context(), from) {
		if err != nil {
			return err
		}
		_, e, err := audit.ParseEntry(line)
		if err != nil {
			return err
		}
		if e.Kind != audit.OperatorIntended && e.Kind != audit.OperatorDone {
			continue
		}
		part, _, _ := strings.Cut(e.Reason, ".")
		switch action := staff.Action(e.Reason); {
		case action == staff.ChangePerson, action == staff.ChangeOffice:
			p.all = true
		case part == "people", part == "account":
			p.some = append(p.some, e.Detail)
		}
	}
	return nil
}

type changedPeople struct {
	some []string
	all  bool // it is not known who
}

// confirmPeople keeps those out of the console about whom the backup may be wrong: who
// was removed since must not come back with it.
func (a *app) confirmPeople(cmd *cobra.Command, v *confirmView) error {
	there, err := hasPeople(a.cfg)
	if err != nil || !there {
		return err
	}
	db, err := openPeople(cmd.Context(), a.cfg)
	if err != nil {
		return err
	}
	v.Suspended, err = db.SuspendAll(cmd.Context(), v.people.some, v.people.all)
	return errors.Join(err, db.Close())
}

// confirmKeys applies to the keystore what happened to keys since the backup.
func (a *app) confirmKeys(cmd *cobra.Command, o confirmOptions, changes []issuance.KeyChange, v *confirmView) error {
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return err
	}
	for _, c := range changes {
		i := slices.IndexFunc(all, func(k keys.Key) bool { return k.ID().String() == c.Key })
		if i < 0 {
			if !slices.Contains(v.LostKeys, c.Key) {
				v.LostKeys = append(v.LostKeys, c.Key)
			}
			continue
		}
		k := all[i]
		switch {
		case c.Kind == audit.KeyCompromised:
			since := c.Since
			if since.IsZero() {
				since = c.At // an old entry; the operator can set an earlier time
			}
			v.Compromised = append(v.Compromised, c.Key)
			if k.State == keys.Compromised && !since.Before(k.CompromisedSince) {
				continue
			}
			k, err = k.Compromise(since)
		case c.Kind == audit.KeyRetired && k.State == keys.Active:
			k, err = k.Retire(c.At)
		default:
			continue
		}
		if err == nil && !o.check {
			err = a.keys.Update(cmd.Context(), k)
		}
		if err != nil {
			return err
		}
		all[i] = k
	}
	if len(v.LostKeys) > 0 && !o.acceptLostKeys {
		return cli.Hint(fmt.Errorf("keys made since the backup are not in its keystore: %s", strings.Join(v.LostKeys, ", ")),
			"put the newer keystore file in place of %s if there is one; with --accept-lost-keys what they signed cannot be verified with the next trust bundle",
			a.cfg.Keystore)
	}
	return nil
}

// confirmPublished takes over what was published since the backup.
func (a *app) confirmPublished(cmd *cobra.Command, o confirmOptions, v *confirmView) (string, error) {
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return "", err
	}
	var found []issuance.Published
	for _, f := range o.published {
		b, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		pub, err := a.readPublished(b, all)
		if err != nil {
			return "", cli.Hint(fmt.Errorf("%s: %w", f, err), "--published takes trust bundles and status list tokens that this issuer signed")
		}
		found = append(found, pub)
	}
	detail := fmt.Sprintf("without journal, %d publications", len(found))
	if o.check {
		return detail, nil
	}
	r, err := a.service.Adopt(cmd.Context(), found, a.actor)
	v.Revoked, v.Unknown = r.Revoked, r.Unknown
	return fmt.Sprintf("%s, %d revoked by them, %d unknown slots", detail, r.Revoked, r.Unknown), err
}

// readPublished reads what was published and checks that a key of ours signed it.
func (a *app) readPublished(b []byte, all []keys.Key) (issuance.Published, error) {
	var own []keys.PublicKey
	for _, k := range all {
		if k.Purpose == keys.StatusList {
			own = append(own, k.Public)
		}
	}
	if t, err := parseList(b); err == nil {
		name := t.URI
		if isJWT(b) {
			name = issuance.JWTName(name)
		}
		if t, err = issuance.OpenList(name, b, own); err != nil {
			return issuance.Published{}, err
		}
		return issuance.Published{Name: name, IssuedAt: t.IssuedAt, Digest: sha256.Sum256(b), Lists: map[string]*statuslist.List{t.URI: t.List}}, nil
	}
	bundle, err := trust.Open(b)
	if err != nil {
		return issuance.Published{}, err
	}
	ours := slices.ContainsFunc(all, func(k keys.Key) bool {
		return k.Purpose == keys.TrustBundle && slices.ContainsFunc(bundle.Root.BundleKeys, k.Public.Equal)
	})
	if !ours {
		return issuance.Published{}, errors.New("no bundle key of this issuer is named in it")
	}
	pub := issuance.Published{
		Name: issuance.TrustName, Number: bundle.Version, IssuedAt: bundle.AsOf, Digest: sha256.Sum256(b), Lists: map[string]*statuslist.List{},
	}
	for _, s := range bundle.Status {
		if !strings.HasPrefix(s.URI, a.cfg.statusBase()) {
			continue
		}
		l, err := s.Open(0)
		if err != nil {
			return pub, err
		}
		pub.Lists[s.URI] = l
	}
	return pub, nil
}

// finishConfirm closes batches, writes into the audit log what was done and opens
// the issuer for work.
func (a *app) finishConfirm(cmd *cobra.Command, o confirmOptions, v *confirmView, detail string) error {
	var err error
	if v.Batches, err = a.closeBatches(cmd); err != nil {
		return err
	}
	err = a.store.Confirm(cmd.Context(), a.now(), func(tx issuance.Tx) error {
		if o.withoutJournal {
			if err := store.BeginLog(tx); err != nil {
				return err
			}
		}
		return tx.Append([]audit.Event{{Time: a.now(), Kind: audit.IssuerRestored, Actor: a.actor, Detail: detail}})
	})
	if err != nil {
		return err
	}
	v.Epoch++
	if o.withoutJournal {
		v.LogNo++
	}
	return nil
}

// closeBatches ends batches that were under way: where their output stands nobody
// knows. A new batch over the same source skips what was issued.
func (a *app) closeBatches(cmd *cobra.Command) ([]string, error) {
	var open []string
	snap, err := a.store.Snapshot(cmd.Context())
	if err != nil {
		return nil, err
	}
	columns := snap.Columns("batch")
	id, state := slices.Index(columns, "batch_id"), slices.Index(columns, "state")
	for row, err := range snap.Rows(cmd.Context(), "batch") {
		if err != nil {
			return nil, errors.Join(err, snap.Close())
		}
		if string(row[state].Text) == string(issuance.BatchRunning) {
			open = append(open, string(row[id].Text))
		}
	}
	if err := snap.Close(); err != nil {
		return nil, err
	}
	for _, id := range open {
		b, err := a.store.Batch(cmd.Context(), id)
		if err != nil {
			return open, err
		}
		issued := int64(0)
		for c, err := range a.store.Find(cmd.Context(), issuance.Query{Batch: id}) {
			if err != nil {
				return open, err
			}
			if c.State != issuance.Intended && c.Reason != issuance.Leftover {
				issued++
			}
		}
		b.Issued, b.State, b.Changed = max(b.Issued, issued), issuance.BatchFinished, a.now()
		b.Rows = max(b.Rows, b.Issued+b.Failed+b.Skipped)
		if err := a.store.Write(cmd.Context(), func(tx issuance.Tx) error { return tx.SaveBatch(b) }); err != nil {
			return open, err
		}
	}
	return open, nil
}

func (v confirmView) text(w io.Writer, a *app, o confirmOptions) {
	if o.check {
		fmt.Fprintln(w, "this is what would be done:")
	}
	if !o.withoutJournal {
		fmt.Fprintf(w, "%d entries of the journal beyond the backup are done again\n", v.Entries)
		for _, k := range slices.Sorted(maps.Keys(v.Kinds)) {
			fmt.Fprintf(w, "  %8d  %s\n", v.Kinds[k], k)
		}
	} else {
		fmt.Fprintf(w, "%d credentials are revoked as published; %d slots that nobody here knows stay revoked\n", v.Revoked, v.Unknown)
		fmt.Fprintln(w, "whatever else was done since the backup is lost: credentials issued since are valid and cannot be revoked here")
	}
	for _, k := range v.Compromised {
		fmt.Fprintf(w, "key %s was compromised since the backup; it never signs again\n", k)
	}
	for _, k := range v.LostKeys {
		fmt.Fprintf(w, "key %s was made since the backup and is lost\n", k)
	}
	for _, b := range v.Batches {
		fmt.Fprintf(w, "batch %s is closed; if it was under way, a new batch issues what is missing\n", b)
	}
	if o.check {
		return
	}
	if v.Suspended > 0 {
		fmt.Fprintf(w, "%d people of the console are suspended, since what the backup says of them may be out of date\nnext: `issuer staff list`, then `issuer staff resume ID` for who still works here, administrators first\n", v.Suspended)
	}
	fmt.Fprintf(w, "open for work in epoch %d\nnext: `issuer fsck --dir %s`, then `issuer trust export`\n", v.Epoch, a.dir)
}
