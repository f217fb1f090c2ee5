package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

// confirmOptions are the flags of restore confirm.
type confirmOptions struct {
	journal                          string
	withoutJournal, nothingPublished bool
	published, programmes            []string
	acceptLostKeys                   bool
	check                            bool
	// Who confirms it: two people with the codes of their cards and what they were
	// shown, or one who says why.
	approvals []string
	digest    string
	alone     bool
	reason    string
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

--check says what would be done and changes nothing.

Two people confirm it: what would be done is shown, and each types the code of their restore card (made in the console, under "My account"). One of
them has to be an administrator. For scripts --approval FILE twice, each with a code (chmod 600), and --digest with what --check showed. Where that
cannot be, --alone --reason WORD: no-console, no-cards, unreachable or rehearsal. The audit log keeps who it was, or the word.`,
		Example: `  issuer restore confirm --dir office --journal /mnt/second/journal --check
  issuer restore confirm --dir office --journal /mnt/second/journal --programme farmers-v2.yaml
  issuer restore confirm --dir office --journal /mnt/second/journal --alone --reason no-console
  issuer restore confirm --dir office --without-journal --published newest.trust`,
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			if (o.journal == "") == !o.withoutJournal {
				return p.Misused(cli.Hint(errors.New("with the journal or without?"), "--journal FOLDER, or --without-journal if it is lost"))
			}
			if o.withoutJournal && (len(o.published) == 0) == !o.nothingPublished {
				return p.Misused(cli.Hint(errors.New("what was published since the backup?"),
					"--published FILE for the newest trust bundle and status lists, or --nothing-published if there is none"))
			}
			if err := o.checkAgreement(); err != nil {
				return p.Misused(err)
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
	f.StringArrayVar(&o.approvals, "approval", nil, "the code of a restore card is in `FILE` (twice; default: asked for)")
	f.StringVar(&o.digest, "digest", "", "the `SHA256` of what --check showed to these people")
	f.BoolVar(&o.alone, "alone", false, "one person confirms it; with --reason")
	f.StringVar(&o.reason, "reason", "", "why alone: a `WORD` of "+strings.Join(aloneReasons, ", "))
	return c
}

// confirmView is the result as --json shows it.
type confirmView struct {
	Epoch       int64            `json:"epoch"`
	Fence       string           `json:"fence"` // why it was closed for work
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
	// Digest is the SHA-256 of what two people agree to.
	Digest string `json:"digest"`
	// By are the operators who confirmed it, or Alone says why it was one person.
	By    []string `json:"confirmed_by,omitempty"`
	Alone string   `json:"alone,omitempty"`

	people changedPeople
	plan   string // what two people are shown
	digest [sha256.Size]byte
}

func (p *program) confirm(cmd *cobra.Command, o confirmOptions) error {
	a, err := p.openFenced(cmd, o)
	if err != nil {
		return err
	}
	defer a.close()
	v := confirmView{Epoch: a.store.Epoch(), LogNo: a.store.LogNo(), Checked: o.check}
	if err := a.closeForAll(cmd, o, &v); err != nil {
		return err
	}
	r := restoring{app: a, o: o, v: &v}
	defer r.close()
	if err := r.survey(cmd); err != nil {
		return err
	}
	v.plan = r.plan()
	v.digest = sha256.Sum256([]byte(v.plan))
	v.Digest = hex.EncodeToString(v.digest[:])
	if !o.check {
		by, err := a.agree(cmd, o, &v)
		if err != nil {
			return err
		}
		// First of all, since after an interruption the journal is read from where it broke off.
		if err := a.confirmPeople(cmd, &v); err != nil {
			return err
		}
		detail, err := r.do(cmd)
		if err != nil {
			return err
		}
		if err := a.finishConfirm(cmd, o, &v, detail, by); err != nil {
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
	switch {
	case errors.Is(err, store.ErrBehindJournal):
		err = cli.Hint(err, "the issuer's own journal knows more than the database: --journal %s", cfg.Journal)
	case err != nil:
		err = explainStore(err)
	}
	if err != nil {
		return nil, errors.Join(err, closeJournal(journal))
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

// restoring is a restore on its way: first it looks at what there is to do, then somebody
// agrees to that, then it is done.
type restoring struct {
	app *app
	o   confirmOptions
	v   *confirmView

	// With a journal:
	journal *audit.Journal
	found   issuance.Survey
	texts   map[[32]byte][]byte
	keys    []keys.Key // as they are to be kept
	// Without:
	published []issuance.Published
	// digests are those of the files that were named, as a plan shows them.
	digests []string
}

func (r *restoring) close() {
	if r.journal != nil {
		_ = r.journal.Close() // only read
	}
}

// survey says in the view what is to be done. It changes nothing.
func (r *restoring) survey(cmd *cobra.Command) error {
	for _, files := range [][]string{r.o.programmes, r.o.published} {
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			r.digests = append(r.digests, fmt.Sprintf("%x", sha256.Sum256(b)))
		}
	}
	if r.o.withoutJournal {
		r.v.people.all = true
		return r.surveyPublished(cmd)
	}
	return r.surveyJournal(cmd)
}

// do does it.
func (r *restoring) do(cmd *cobra.Command) (detail string, err error) {
	if r.o.withoutJournal {
		found, err := r.app.service.Adopt(cmd.Context(), r.published, r.app.actor)
		r.v.Revoked, r.v.Unknown = found.Revoked, found.Unknown
		return fmt.Sprintf("without journal, %d publications, %d revoked by them, %d unknown slots", len(r.published), found.Revoked, found.Unknown), err
	}
	return fmt.Sprintf("from a backup of %d entries, journal to %d", r.found.From, r.found.To), r.replay(cmd)
}

// plan is what two people agree to: what is restored, from what, and what will be done.
func (r *restoring) plan() string {
	var b strings.Builder
	a := r.app
	fmt.Fprintf(&b, "issuer %s in epoch %d of audit log %d, closed for work: %s\n", a.cfg.Issuer.ID, r.v.Epoch, r.v.LogNo, r.v.Fence)
	if r.o.withoutJournal {
		fmt.Fprintf(&b, "without a journal: %d publications are taken over, and whatever else was done since the backup is lost\n", len(r.published))
		fmt.Fprintln(&b, "who was kept out of the console since the backup is not known; everybody will be suspended")
	} else {
		fmt.Fprintf(&b, "journal of %d entries with the root %s\n", r.found.To, r.found.Head.Root)
		r.v.lines(&b)
	}
	for _, d := range r.digests {
		fmt.Fprintf(&b, "with the file whose SHA-256 is %s\n", d)
	}
	return b.String()
}

// surveyJournal reads what the journal records beyond the backup.
func (r *restoring) surveyJournal(cmd *cobra.Command) (err error) {
	a, o, v := r.app, r.o, r.v
	if r.journal, err = audit.OpenJournal(o.journal); err != nil {
		return cli.Hint(err, "name the folder with %s of the journal, or of an export", audit.EntriesFile)
	}
	snap, err := a.store.Snapshot(cmd.Context())
	if err != nil {
		return err
	}
	facts, err := snap.Facts(cmd.Context())
	if err != nil {
		return errors.Join(err, snap.Close())
	}
	s, err := issuance.SurveyJournal(cmd.Context(), r.journal, facts.Head.Size, func(size int64) (audit.Head, error) {
		return snap.HeadAt(cmd.Context(), size)
	})
	if err = errors.Join(err, snap.Close()); err != nil {
		return explainJournal(err)
	}
	r.found = s
	v.Entries, v.Kinds = s.To-s.From, map[string]int64{}
	for k, n := range s.Kinds {
		v.Kinds[string(k)] = n
	}
	if r.texts, err = programmeTexts(o.programmes, s); err != nil {
		return err
	}
	if err := v.people.read(cmd, r.journal, s.From, s.To); err != nil {
		return err
	}
	if r.keys, err = a.confirmKeys(cmd, o, s.Keys, v); err != nil {
		return err
	}
	for _, f := range o.published {
		if _, _, err := a.readBundle(cmd, f); err != nil {
			return err
		}
	}
	return nil
}

// replay does again what the journal records, as far as it was looked at.
func (r *restoring) replay(cmd *cobra.Command) error {
	a, ctx := r.app, cmd.Context()
	for _, k := range r.keys {
		if err := a.keys.Update(ctx, k); err != nil {
			return err
		}
	}
	for _, f := range r.o.published {
		pub, b, err := a.readBundle(cmd, f)
		if err == nil {
			err = a.service.AdoptBundle(ctx, pub, b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	bar := replayBar(cmd, r.found)
	err := a.service.Replay(ctx, upTo{r.journal, r.found.To}, r.found.From, r.texts, func(done int64) {
		if bar != nil {
			_ = bar.Set64(done - r.found.From) // a bar that cannot be drawn stops nothing
		}
	})
	if bar != nil {
		_ = bar.Finish()
	}
	if err != nil {
		return err
	}
	for range r.journal.Entries(ctx, r.found.To) {
		return cli.Hint(errors.New("the journal grew meanwhile: somebody still works with the old issuer"), "stop it for good, then give the command again")
	}
	return nil
}

// upTo is a journal without what came after it was looked at.
type upTo struct {
	*audit.Journal
	end int64
}

// Entries implements [issuance.Journal].
func (j upTo) Entries(ctx context.Context, first int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n := first
		if n >= j.end {
			return
		}
		for line, err := range j.Journal.Entries(ctx, first) {
			if !yield(line, err) || err != nil {
				return
			}
			if n++; n == j.end {
				return
			}
		}
	}
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

// confirmKeys returns the keys as they are to be kept after what happened to them since
// the backup.
func (a *app) confirmKeys(cmd *cobra.Command, o confirmOptions, changes []issuance.KeyChange, v *confirmView) (update []keys.Key, err error) {
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return nil, err
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
		if err != nil {
			return nil, err
		}
		all[i], update = k, append(update, k)
	}
	if len(v.LostKeys) > 0 && !o.acceptLostKeys {
		return nil, cli.Hint(fmt.Errorf("keys made since the backup are not in its keystore: %s", strings.Join(v.LostKeys, ", ")),
			"put the newer keystore file in place of %s if there is one; with --accept-lost-keys what they signed cannot be verified with the next trust bundle",
			a.cfg.Keystore)
	}
	return update, nil
}

// finishConfirm gives up the batches that were under way, writes into the audit log what was
// done and opens the issuer for work, all in one.
func (a *app) finishConfirm(cmd *cobra.Command, o confirmOptions, v *confirmView, detail string, by agreement) error {
	open, err := a.openBatches(cmd)
	if err != nil {
		return err
	}
	if a.journal == nil && sameFolder(a.cfg.Journal, o.journal) {
		// It was read to its end, so that the log continues it.
		if a.journal, err = openJournal(a.cfg, readWrite); err != nil {
			return err
		}
		a.store.Attach(a.journal)
	}
	err = a.store.Confirm(cmd.Context(), a.now(), func(tx issuance.Tx) error {
		if o.withoutJournal {
			if err := store.BeginLog(tx); err != nil {
				return err
			}
		}
		at := a.now()
		var events []audit.Event
		for _, b := range open {
			b.GiveUp(b.Issued, at)
			if err := tx.SaveBatch(b); err != nil {
				return err
			}
			events = append(events, b.Event(audit.BatchGivenUp, a.actor, at))
		}
		return tx.Append(append(events, audit.Event{
			Time: at, Kind: audit.IssuerRestored, Actor: a.actor, Digest: v.Digest, Reason: by.reason(), Detail: detail + by.detail(),
		}))
	})
	if err != nil {
		return err
	}
	for _, b := range open {
		v.Batches = append(v.Batches, b.ID)
	}
	v.Alone = by.alone
	for _, op := range by.people {
		v.By = append(v.By, op.ID)
	}
	v.Epoch++
	if o.withoutJournal {
		v.LogNo++
	}
	return nil
}

// openBatches returns the batches that were under way, with what of them was issued, to be
// given up: where their output stands nobody knows. A new batch over the same source skips
// what was issued.
func (a *app) openBatches(cmd *cobra.Command) ([]issuance.Batch, error) {
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
	batches := make([]issuance.Batch, len(open))
	for i, id := range open {
		b, err := a.store.Batch(cmd.Context(), id)
		if err != nil {
			return nil, err
		}
		issued := int64(0)
		for c, err := range a.store.Find(cmd.Context(), issuance.Query{Batch: id}) {
			if err != nil {
				return nil, err
			}
			if c.State != issuance.Intended && c.Reason != issuance.Leftover {
				issued++
			}
		}
		b.Issued = max(b.Issued, issued)
		batches[i] = b
	}
	return batches, nil
}

// lines say what a journal has beyond the backup.
func (v *confirmView) lines(w io.Writer) {
	fmt.Fprintf(w, "%d entries of the journal beyond the backup are done again\n", v.Entries)
	for _, k := range slices.Sorted(maps.Keys(v.Kinds)) {
		fmt.Fprintf(w, "  %8d  %s\n", v.Kinds[k], k)
	}
	for _, k := range v.Compromised {
		fmt.Fprintf(w, "key %s was compromised since the backup; it never signs again\n", k)
	}
	for _, k := range v.LostKeys {
		fmt.Fprintf(w, "key %s was made since the backup and is lost\n", k)
	}
}

func (v confirmView) text(w io.Writer, a *app, o confirmOptions) {
	if o.check {
		fmt.Fprintf(w, "this is what would be done:\n%s\nSHA-256 of this, for --digest: %s\n", v.plan, v.Digest)
		return
	}
	if o.withoutJournal {
		fmt.Fprintf(w, "%d credentials are revoked as published; %d slots that nobody here knows stay revoked\n", v.Revoked, v.Unknown)
		fmt.Fprintln(w, "whatever else was done since the backup is lost: credentials issued since are valid and cannot be revoked here")
	} else {
		v.lines(w)
	}
	for _, b := range v.Batches {
		fmt.Fprintf(w, "batch %s was under way and is given up; a new batch issues what is missing\n", b)
	}
	if v.Suspended > 0 {
		fmt.Fprintf(w, "%d people of the console are suspended, since what the backup says of them may be out of date\nnext: `issuer staff list`, then `issuer staff resume ID` for who still works here, administrators first\n", v.Suspended)
	}
	if v.Alone != "" {
		fmt.Fprintf(w, "confirmed by one person alone: %s; the audit log says so\n", v.Alone)
	} else {
		fmt.Fprintf(w, "confirmed by %s; their restore cards are used up\n", strings.Join(v.By, " and "))
	}
	fmt.Fprintf(w, "open for work in epoch %d\nnext: `issuer fsck --dir %s`, then `issuer trust export`\n", v.Epoch, a.dir)
}
