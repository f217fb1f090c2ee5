package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

func (p *program) auditCheckpoint() *cobra.Command {
	var ask bool
	var takeIn string
	c := &cobra.Command{
		Use: "checkpoint [--witness]", Short: "Sign the head of the log and have witnesses co-sign it", Args: cobra.NoArgs,
		Long: `Signs a checkpoint of everything that was done so far. With --witness it asks the witnesses of the settings (audit.witnesses) for their
signatures; run that every hour, since issuing stops when the log has gone without a witness for longer than audit.debt_limit.

A witness without a network co-signs an exported folder (` + "`issuer audit export`, then `issuer audit witness cosign` there" + `); --take-in reads its
signature from the ` + audit.CheckpointFile + ` that comes back.`,
		Example: "  issuer audit checkpoint --dir office --witness\n  issuer audit checkpoint --dir office --take-in /media/usb/audit/" + audit.CheckpointFile,
		RunE: p.office(readWrite, func(cmd *cobra.Command, a *app, _ []string) error {
			var answers []witnessAnswer
			var err error
			if takeIn != "" {
				if answers, err = a.takeIn(cmd.Context(), takeIn); err != nil {
					return err
				}
			}
			checkpoint, _, err := a.checkpoint(cmd.Context())
			if err != nil {
				return err
			}
			if ask {
				if len(a.cfg.Audit.Witnesses) == 0 {
					return cli.Hint(errors.New("the settings name no witness"), "audit.witnesses; `issuer audit witness init` makes one")
				}
				if answers, err = a.askWitnesses(cmd.Context()); err != nil {
					return err
				}
			}
			debt, err := a.debt(cmd.Context())
			if err != nil {
				return err
			}
			view := map[string]any{"entries": checkpoint.Size, "root": checkpoint.Root.String(), "witnesses": answers, "debt": debt}
			if err := p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%d entries, root %s\n", checkpoint.Size, checkpoint.Root)
				for _, v := range answers {
					fmt.Fprintln(w, v)
				}
				fmt.Fprintln(w, debt)
			}); err != nil {
				return err
			}
			if ask {
				if err := a.objected(); err != nil {
					return err
				}
			}
			for _, v := range answers {
				if v.Error != "" {
					return fmt.Errorf("not every witness has co-signed")
				}
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&ask, "witness", false, "ask the witnesses for their signatures")
	c.Flags().StringVar(&takeIn, "take-in", "", "keep the signatures of witnesses in `FILE`, a "+audit.CheckpointFile+" that they have co-signed")
	return c
}

// checkpoint signs the present head of the log, and returns the keys of the log.
func (a *app) checkpoint(ctx context.Context) (store.Checkpoint, string, error) {
	all, err := a.keys.Keys(ctx)
	if err != nil {
		return store.Checkpoint{}, "", err
	}
	now := a.now()
	key, err := keys.SigningKey(all, keys.Audit, now)
	if err != nil {
		return store.Checkpoint{}, "", cli.Hint(err, "`issuer keys rotate --purpose audit`")
	}
	signer, err := a.keys.Signer(ctx, key.ID())
	if err != nil {
		return store.Checkpoint{}, "", err
	}
	origin := a.origin()
	checkpoint, err := a.store.Checkpoint(ctx, now, func(h audit.Head) ([]byte, error) {
		return audit.SignCheckpoint(origin, h, now, signer)
	})
	if err != nil {
		return store.Checkpoint{}, "", err
	}
	var vkeys strings.Builder // the keys of the log's whole life: older checkpoints stay checkable
	for _, k := range all {
		if k.Purpose != keys.Audit {
			continue
		}
		vkey, err := audit.VerifierKey(origin, k.Public)
		if err != nil {
			return store.Checkpoint{}, "", err
		}
		fmt.Fprintln(&vkeys, vkey)
	}
	return checkpoint, vkeys.String(), nil
}

// A witnessAnswer says what came of asking a witness.
type witnessAnswer struct {
	Witness string     `json:"witness"`
	Size    int64      `json:"entries,omitempty"`
	Time    *time.Time `json:"time,omitempty"`
	Error   string     `json:"error,omitempty"`
}

// String is the answer as a line.
func (w witnessAnswer) String() string {
	if w.Error != "" {
		return fmt.Sprintf("%s: %s", w.Witness, w.Error)
	}
	return fmt.Sprintf("%s has co-signed %d entries on %s", w.Witness, w.Size, w.Time.Format(time.RFC3339))
}

// askWitnesses has every witness with an address co-sign the present head of the
// log, and keeps the signatures. What went wrong with one is in its answer.
func (a *app) askWitnesses(ctx context.Context) ([]witnessAnswer, error) {
	checkpoint, vkeys, err := a.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	client := fetch.New(fetch.Config{LocalHosts: a.cfg.Audit.LocalHosts})
	var answers []witnessAnswer
	for _, w := range a.cfg.Audit.Witnesses {
		if w.URL == "" {
			continue
		}
		id, err := audit.CheckWitnessKey(w.Key)
		if err != nil {
			return nil, err
		}
		answer := witnessAnswer{Witness: id}
		c, err := a.askWitness(ctx, client, w, checkpoint, vkeys)
		if err == nil {
			err = errors.Join(a.store.SaveCosignature(ctx, checkpoint.Size, c), a.agrees(id))
		}
		if c, ok := errors.AsType[*contradiction](err); ok {
			if err := a.object(id, c); err != nil {
				return nil, fmt.Errorf("%w: %s: %w; and it is not kept: %w", issuance.ErrAuditContradicted, id, c, err)
			}
		}
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Size, answer.Time = checkpoint.Size, &c.Time
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// askWitness asks one witness (C2SP tlog-witness, add-checkpoint). If it stands
// elsewhere than we think it says where, and is asked again.
func (a *app) askWitness(ctx context.Context, client *fetch.Client, w WitnessConfig, at store.Checkpoint, vkeys string) (audit.Cosignature, error) {
	id, err := audit.CheckWitnessKey(w.Key)
	if err != nil {
		return audit.Cosignature{}, err
	}
	old, err := a.store.Witnessed(ctx, 1, []string{id})
	if err != nil {
		return audit.Cosignature{}, err
	}
	for range 2 {
		proof, err := a.store.Growth(ctx, old, at.Size)
		if err != nil {
			return audit.Cosignature{}, err
		}
		answer, err := client.Post(ctx, strings.TrimSuffix(w.URL, "/")+"/add-checkpoint", "text/plain; charset=utf-8", audit.Request(old, proof, at.Note))
		if err != nil {
			return audit.Cosignature{}, err
		}
		switch answer.Status {
		case http.StatusOK:
			return readCosignature(at.Note, answer.Body, vkeys, w.Key)
		case http.StatusConflict:
			size, err := strconv.ParseInt(strings.TrimSuffix(string(answer.Body), "\n"), 10, 64)
			switch {
			case (err != nil || answer.Type != typeSize) && old == at.Size:
				return audit.Cosignature{}, errForked
			case err != nil || answer.Type != typeSize:
				return audit.Cosignature{}, errors.New("it answered 409 and not how far it has come")
			case size > at.Size: // another process may have had a later checkpoint co-signed
				have, err := a.store.AuditSize(ctx)
				if err == nil && size > have {
					err = errLost(size, have)
				}
				if err != nil {
					return audit.Cosignature{}, err
				}
				return audit.Cosignature{}, errBusyWitness
			}
			old = size
		case http.StatusUnprocessableEntity:
			return audit.Cosignature{}, errInconsistent
		default:
			return audit.Cosignature{}, fmt.Errorf("it answered %d %s", answer.Status, http.StatusText(answer.Status))
		}
	}
	return audit.Cosignature{}, errBusyWitness
}

var errBusyWitness = errors.New("it is busy with another checkpoint of this log")

// readCosignature checks what a witness answered.
func readCosignature(checkpoint, answer []byte, vkeys, witness string) (audit.Cosignature, error) {
	c, err := audit.OpenCosigned(audit.AddCosignatures(checkpoint, answer), vkeys, witness)
	if err != nil {
		return audit.Cosignature{}, err
	}
	if len(c.Cosignatures) == 0 {
		return audit.Cosignature{}, errors.New("it answered without its signature")
	}
	return c.Cosignatures[0], nil
}

// takeIn keeps the signatures that witnesses have put into a file.
func (a *app) takeIn(ctx context.Context, path string) ([]witnessAnswer, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, vkeys, err := a.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	var witnesses strings.Builder
	for _, w := range a.cfg.Audit.Witnesses {
		fmt.Fprintln(&witnesses, w.Key)
	}
	c, err := audit.OpenCosigned(signed, vkeys, witnesses.String())
	if err != nil {
		return nil, err
	}
	if len(c.Cosignatures) == 0 {
		return nil, cli.Hint(errors.New("no witness of the settings has co-signed this checkpoint"), "audit.witnesses in the settings names those that count")
	}
	known, err := a.store.Checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range known {
		if k.Head != c.Head {
			continue
		}
		var answers []witnessAnswer
		for _, s := range c.Cosignatures {
			if err := errors.Join(a.store.SaveCosignature(ctx, c.Size, s), a.agrees(s.Witness)); err != nil {
				return nil, err
			}
			answers = append(answers, witnessAnswer{Witness: s.Witness, Size: c.Size, Time: &s.Time})
		}
		return answers, nil
	}
	return nil, errors.New("this checkpoint is not one that this database has signed")
}

// auditDebt is what no quorum of witnesses has co-signed, as --json shows it.
type auditDebt struct {
	Witnesses int        `json:"witnesses"`
	Quorum    int        `json:"quorum"`
	Witnessed int64      `json:"witnessed_entries"`
	Since     *time.Time `json:"since,omitempty"`
	Limit     string     `json:"limit"`
	Without   bool       `json:"without_witness"`
	Stopped   bool       `json:"issuing_stopped"`
	// Objections are what witnesses found; each stops issuing.
	Objections []objection `json:"objections,omitempty"`

	age time.Duration
}

// String is the debt as a sentence.
func (d auditDebt) String() string {
	state := "everything is co-signed"
	switch {
	case len(d.Objections) > 0:
		var b strings.Builder
		for _, o := range d.Objections {
			fmt.Fprintf(&b, "%s; ", o)
		}
		return b.String() + "ISSUING IS STOPPED: " + whatToDo
	case d.Witnesses == 0 && d.Without:
		return "no witness watches over the audit log (audit.without_witness: true)"
	case d.Witnesses == 0 && d.Since == nil:
		return fmt.Sprintf("no witness watches over the audit log; issuing stops %s after the next entry", d.Limit)
	case d.Witnesses == 0:
		state = fmt.Sprintf("no witness watches over the audit log: what was done since %s, for %s, is not co-signed (limit %s)",
			d.Since.Format(time.RFC3339), d.age.Round(time.Second), d.Limit)
	case d.Since != nil:
		state = fmt.Sprintf("what was done since %s, for %s, no witness has co-signed (limit %s)", d.Since.Format(time.RFC3339), d.age.Round(time.Second), d.Limit)
	}
	switch {
	case d.Stopped:
		return state + "; ISSUING IS STOPPED"
	case d.Without:
		return state + "; issuing goes on without (audit.without_witness: true)"
	}
	return state
}

// debt looks for how long the log has gone without witnesses.
func (a *app) debt(ctx context.Context) (auditDebt, error) {
	c := a.cfg.Audit
	d := auditDebt{Witnesses: len(c.Witnesses), Quorum: c.Quorum, Limit: time.Duration(c.DebtLimit).String(), Without: c.WithoutWitness}
	var ids []string
	for _, w := range c.Witnesses {
		id, err := audit.CheckWitnessKey(w.Key)
		if err != nil {
			return d, err
		}
		ids = append(ids, id)
	}
	var err error
	if d.Objections, err = a.objections(); err != nil {
		return d, err
	}
	d.Stopped = len(d.Objections) > 0
	if d.Witnessed, err = a.store.Witnessed(ctx, c.Quorum, ids); err != nil {
		return d, err
	}
	since, err := a.store.OldestUnwitnessed(ctx, c.Quorum, ids)
	if err != nil || since.IsZero() {
		return d, err
	}
	d.Since, d.age = &since, a.now().Sub(since)
	d.Stopped = d.Stopped || d.age > time.Duration(c.DebtLimit) && !d.Without
	return d, nil
}

// askAgain is how long issuing waits between two tries to reach the witnesses.
const askAgain = 5 * time.Minute

// mayIssue stops issuing when a witness knows another past of the log, whatever the
// settings say, and when the log has gone without witnesses for too long. Before that it
// asks them itself.
func (a *app) mayIssue(ctx context.Context, now time.Time) error {
	c := a.cfg.Audit
	if c.WithoutWitness && len(c.Witnesses) == 0 {
		return nil
	}
	d, err := a.debt(ctx)
	if err != nil {
		return err
	}
	if a.reachable() {
		due := len(d.Objections) > 0 || d.age > min(time.Duration(c.DebtLimit), time.Duration(mostDebt))/4
		if err := a.askIf(ctx, due, now); err != nil {
			return err
		}
		if d, err = a.debt(ctx); err != nil {
			return err
		}
	}
	if err := a.objected(); err != nil || !d.Stopped {
		return err
	}
	err = fmt.Errorf("%w: since %s, limit %s", issuance.ErrAuditDebt, d.Since.Format(time.RFC3339), d.Limit)
	if d.Witnesses == 0 {
		return cli.Hint(err, "name a witness (audit.witnesses), or set audit.without_witness: true to go without")
	}
	return cli.Hint(err, "`issuer audit checkpoint --witness` asks the witnesses and says why they do not answer; audit.without_witness: true goes without them")
}

// askIf asks the witnesses if that is due and was not done just now, or if this process
// must before its first credential. Others who issue wait for the answers.
func (a *app) askIf(ctx context.Context, due bool, now time.Time) error {
	w := a.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.first && (!due || now.Sub(w.asked).Abs() <= askAgain) {
		return nil
	}
	w.asked, w.first = now, false
	_, err := a.askWitnesses(ctx)
	if err != nil && a.cfg.Audit.WithoutWitness && !errors.Is(err, issuance.ErrAuditContradicted) {
		return nil // who goes without does not stop because nobody could be asked
	}
	return err
}

// reachable reports whether a witness has an address.
func (a *app) reachable() bool {
	for _, w := range a.cfg.Audit.Witnesses {
		if w.URL != "" {
			return true
		}
	}
	return false
}

func (p *program) auditJournal() *cobra.Command {
	var create bool
	c := &cobra.Command{
		Use: "journal", Short: "Look at the second copy of the audit log, or begin one", Args: cobra.NoArgs,
		Long: `Checks that the journal (setting journal) holds what the database holds. --create begins one in the folder of the settings, for an issuer that
had none, and copies the whole log into it.`,
		Example: "  issuer audit journal --dir office",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(p.settings())
			if err != nil {
				return err
			}
			if cfg.Journal == "" {
				return cli.Hint(errors.New("the settings name no journal"), "journal: FOLDER, on another disk than the database")
			}
			if create {
				if err := audit.CreateJournal(cfg.Journal); err != nil {
					return cli.Hint(err, "a folder that holds a journal is never overwritten")
				}
			}
			a, err := p.open(cmd, readWrite)
			if err != nil {
				return err
			}
			defer a.close()
			size, err := a.store.AuditSize(cmd.Context())
			if err != nil {
				return err
			}
			if err := fillJournal(cmd.Context(), a.journal, a.store, size); err != nil {
				return err
			}
			if err := a.journal.Check(cmd.Context()); err != nil {
				return cli.Hint(err, "keep the folder for examination, and begin a new one elsewhere with --create")
			}
			view := map[string]any{"folder": cfg.Journal, "entries": a.journal.Size(), "audit_entries": size}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%s holds %d entries of %d\n", cfg.Journal, a.journal.Size(), size)
			})
		}),
	}
	c.Flags().BoolVar(&create, "create", false, "begin a journal in the folder of the settings")
	return c
}

// fillJournal copies what the journal lacks from the database, which has confirmed
// it long ago.
func fillJournal(ctx context.Context, j *audit.Journal, db *store.DB, size int64) error {
	at := int64(0)
	next := j.Size()
	var block [][]byte
	flush := func() error {
		if len(block) == 0 {
			return nil
		}
		if err := j.Stage(next, block); err != nil {
			return err
		}
		next += int64(len(block))
		j.Commit(next)
		block = nil
		return nil
	}
	for entry, err := range db.AuditEntries(ctx, size) {
		if err != nil {
			return err
		}
		if at++; at <= next+int64(len(block)) {
			continue
		}
		if block = append(block, entry); len(block) == audit.MaxBlock {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return cmp.Or(flush(), ctx.Err())
}
