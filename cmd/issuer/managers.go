package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/sqltable"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store"
	people "github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/web/console"
	"github.com/sanad-id/sanad/work"
)

// managers is the issuer as the pages of managers see it: batches, programmes, sources,
// trust, keys and figures.
type managers struct {
	p      *program
	cmd    *cobra.Command
	d      *desk
	people *people.DB
	paper  *officePaper
	log    *slog.Logger // set by open
}

// open makes what those pages rest on. Batches run when the runner does.
func (m *managers) open(folder *batchwork.Folder, log *slog.Logger) (console.Manage, error) {
	cfg := m.d.cfg
	m.log = log
	runner, err := batchwork.NewRunner(batchwork.Config{
		Store: m.people, Folder: folder, Worker: rand.Text(), Node: node(), Issuer: m.issuer, Open: m.table, Share: m.share, Draw: draw, Sync: syncFolder, Print: m.paper.batch,
		Revoker: m.revoker, Registry: m.registry, Shared: store.IsPostgres(cfg.Store), Keep: time.Duration(cfg.Console.KeepBatches), Chunk: chunk, Log: log, Now: m.p.Now,
	})
	if err != nil {
		return console.Manage{}, err
	}
	return console.Manage{Batches: runner, Programmes: m, Sources: m, Trust: m, Keys: m, Figures: m, Watch: m}, nil
}

// errOtherFolder: files of batches would be missing where they are looked for.
var errOtherFolder = errors.New("console.batches is not the folder that the other servers work in, or not the one of before")

// sameFolder refuses to begin where several servers share a database and not the folder
// of batches: each would miss what the others make.
func (m *managers) sameFolder(ctx context.Context, db *people.DB, folder *batchwork.Folder) error {
	if !store.IsPostgres(m.d.cfg.Console.Desk) {
		return nil
	}
	id, err := folder.Identity()
	if err != nil {
		return err
	}
	known, err := db.BatchFolder(ctx, id, m.p.newBatches)
	if err != nil || known == id {
		return err
	}
	with, err := db.Jobs(ctx, batchwork.Query{Files: true, Limit: 1})
	if err != nil {
		return err
	}
	if len(with) > 0 {
		return cli.Hint(errOtherFolder, "mount the same folder on every server; if it is lost for good, `issuer serve --new-batches-folder` takes the present one")
	}
	_, err = db.BatchFolder(ctx, id, true) // there is nothing to be missed
	return err
}

// node names this machine among those that share batches.
func node() string {
	name, err := os.Hostname()
	name = regexp.MustCompile(`[^A-Za-z0-9-]+`).ReplaceAllString(name, "-")
	if name = strings.Trim(name, "-"); err != nil || name == "" {
		return "node"
	}
	return name[:min(len(name), 63)]
}

// issuer gives the open issuer to a batch.
func (m *managers) issuer(_ context.Context, do func(batchwork.Issuer) error) error {
	return m.d.with(readWrite, func(a *app) error { return do(a.service) })
}

// A revoker is the open issuer as a revocation of many needs it.
type revoker struct {
	*issuance.Service
	store *store.DB
}

// Find implements [batchwork.Revoker].
func (r revoker) Find(ctx context.Context, q issuance.Query) iter.Seq2[issuance.Credential, error] {
	return r.store.Find(ctx, q)
}

// revoker gives the open issuer to a revocation.
func (m *managers) revoker(_ context.Context, do func(batchwork.Revoker) error) error {
	return m.d.with(readWrite, func(a *app) error { return do(revoker{a.service, a.store}) })
}

// registry opens the registry of a job's programme.
func (m *managers) registry(ctx context.Context, j batchwork.Job) (registry.Source, func(), error) {
	name := m.d.cfg.Serve.Sources[j.Programme]
	if name == "" && len(m.d.cfg.Sources) != 1 {
		return nil, nil, work.ErrNoSource
	}
	all, err := m.d.Programmes(ctx)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(all, func(p *programme.Programme) bool { return p.ID == j.Programme })
	if i < 0 {
		return nil, nil, issuance.ErrNoProgramme
	}
	return m.d.source(ctx, name, all[i])
}

// table opens the source of a batch: an upload, or a source of the settings.
func (m *managers) table(ctx context.Context, j batchwork.Job, path string, p *programme.Programme) (batchwork.Table, error) {
	if path == "" {
		t, err := m.OpenSource(ctx, j.Source, p)
		if e := noIDColumn(err); e != nil {
			return nil, e
		}
		if _, told := errors.AsType[*batchwork.SourceError](err); err != nil && !told {
			err = &batchwork.SourceError{Why: batchwork.Away, Err: err}
		}
		return t, err
	}
	t, err := csvfile.Open(path, csvfile.Options{IDColumn: p.Records.IDColumn})
	if e := noIDColumn(err); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, &batchwork.SourceError{Why: batchwork.Unreadable, Err: errors.New("not a table that can be read")}
	}
	return t, nil
}

// noIDColumn is what a batch is told of a file that lacks its id column; nil for any other
// error. Which columns there are goes into the folder of the batch, and into no log.
func noIDColumn(err error) error {
	e, ok := errors.AsType[*csvfile.IDColumnError](err)
	if !ok {
		return nil
	}
	return &batchwork.SourceError{
		Why: batchwork.NoIDColumn, Err: errors.New("the id column is missing"), Columns: batchwork.Columns{Lacks: []string{e.Column}, Has: e.Has},
	}
}

// share says which records an office works on.
func (m *managers) share(ctx context.Context, j batchwork.Job) (batchwork.Share, error) {
	o, err := m.people.Office(ctx, j.Office)
	if err != nil {
		return batchwork.Share{}, err
	}
	if o.Column == "" {
		return batchwork.Share{}, nil
	}
	sees := func(r registry.Record) bool { return o.Sees(j.Programme, r.Value) }
	return batchwork.Share{Sees: sees, Name: fmt.Sprintf("%q %q", o.Column, o.Values)}, nil
}

// Programmes implements [console.Programmes].
func (m *managers) Programmes(ctx context.Context) ([]*programme.Programme, error) {
	return m.d.Programmes(ctx)
}

// ProgrammeVersions implements [console.Programmes].
func (m *managers) ProgrammeVersions(ctx context.Context, id string) (all []issuance.ProgrammeRow, err error) {
	err = m.d.with(readOnly, func(a *app) error {
		all, err = a.service.ProgrammeVersions(ctx, id)
		return err
	})
	return all, err
}

// AddProgramme implements [console.Programmes].
func (m *managers) AddProgramme(ctx context.Context, text []byte, actor string) (p *programme.Programme, err error) {
	err = m.d.with(readWrite, func(a *app) error {
		p, err = a.service.AddProgramme(ctx, text, actor)
		return err
	})
	return p, err
}

// Sources implements [console.Sources].
func (m *managers) Sources() []console.SourceInfo {
	var all []console.SourceInfo
	for _, name := range slices.Sorted(maps.Keys(m.d.cfg.Sources)) {
		s := m.d.cfg.Sources[name]
		all = append(all, console.SourceInfo{
			Name: name, Database: s.SQL.Database != "", Table: strings.TrimPrefix(s.SQL.Schema+"."+s.SQL.Table, "."), IDColumn: s.IDColumn,
		})
	}
	return all
}

// OpenSource implements [console.Sources]. A name is one of the settings and never a
// path.
func (m *managers) OpenSource(ctx context.Context, name string, p *programme.Programme) (batchwork.Table, error) {
	s, ok := m.d.cfg.Sources[name]
	if !ok {
		return nil, fmt.Errorf("no such source in the settings")
	}
	if s.IDColumn == "" {
		s.IDColumn = p.Records.IDColumn
	}
	src, err := openRegistry(ctx, s)
	if err != nil {
		return nil, wrongSource(err)
	}
	return src, nil
}

// wrongSource marks the error of a source that is there and is not what the settings say.
func wrongSource(err error) error {
	for _, wrong := range []error{sqltable.ErrTable, sqltable.ErrColumn, sqltable.ErrRight, csvfile.ErrIDColumn, csvfile.ErrHeader} {
		if errors.Is(err, wrong) {
			return &batchwork.SourceError{Why: batchwork.WrongSource, Err: err}
		}
	}
	return err
}

// Outlook implements [console.Trust].
func (m *managers) Outlook(ctx context.Context, most int) (o issuance.Outlook, err error) {
	err = m.d.with(readWrite, func(a *app) error {
		o, err = a.service.Outlook(ctx, most)
		return err
	})
	return o, err
}

// as is the same open issuer with somebody else who acts. It is not to be closed.
func (a *app) as(actor string) *app {
	return &app{cfg: a.cfg, dir: a.dir, keys: a.keys, store: a.store, journal: a.journal, service: a.service, actor: actor, now: a.now, watch: a.watch}
}

// Publish implements [console.Trust]. What it writes into the audit log carries the
// operator.
func (m *managers) Publish(ctx context.Context, actor string) error {
	with := func(what access, do func(*app) error) error {
		return m.d.with(what, func(a *app) error { return do(a.as(actor)) })
	}
	if out := m.d.cfg.Serve.Published; out != "" {
		say := func(format string, args ...any) {
			m.log.WarnContext(ctx, "publishing", "say", fmt.Sprintf(format, args...))
		}
		_, err := (&publisher{program: m.p, cmd: m.cmd, out: out, with: with, say: say}).round(ctx)
		return err
	}
	return with(readWrite, func(a *app) error {
		lifetime := time.Duration(a.cfg.Trust.StatusListLifetime)
		_, err := a.service.PublishStatus(ctx, issuance.StatusRequest{
			Lifetime: lifetime, TTL: lifetime / 7, KeepFor: min(keepFor, lifetime/4), Actor: a.actor,
		})
		if err != nil {
			return err
		}
		_, err = a.currentBundle(m.cmd)
		return err
	})
}

// Keys implements [console.Keys].
func (m *managers) Keys(ctx context.Context) ([]keys.Key, error) { return m.d.keys.Keys(ctx) }

// margin is how long a new key waits until verifiers know it.
func (m *managers) margin(emergency bool) time.Duration {
	if emergency {
		return 0
	}
	return time.Duration(m.d.cfg.Keys.PublishBefore)
}

// PlanKey implements [console.Keys].
func (m *managers) PlanKey(ctx context.Context, p keys.Purpose, emergency bool) (keys.Rotation, error) {
	all, err := m.d.keys.Keys(ctx)
	if err != nil {
		return keys.Rotation{}, err
	}
	return keys.PlanRotation(all, p, m.p.Now(), m.margin(emergency))
}

// RotateKey implements [console.Keys].
func (m *managers) RotateKey(ctx context.Context, p keys.Purpose, emergency bool, actor string) (r keys.Rotation, err error) {
	err = m.d.with(readWrite, func(a *app) error {
		r, err = a.service.RotateKey(ctx, a.keySpec(p), m.margin(emergency), actor)
		return err
	})
	return r, err
}

// CompromiseKey implements [console.Keys].
func (m *managers) CompromiseKey(ctx context.Context, id keys.ID, since time.Time, actor string) (k keys.Key, err error) {
	err = m.d.with(readWrite, func(a *app) error {
		k, err = a.service.CompromiseKey(ctx, id, since, actor)
		return err
	})
	return k, err
}

// Figures implements [console.Figures].
func (m *managers) Figures(ctx context.Context, from, to string) ([]figures.Count, error) {
	err := m.d.with(readOnly, func(a *app) error {
		return figures.Follow(ctx, a.store, logName(a), m.people, m.whose)
	})
	if err != nil {
		return nil, err
	}
	return m.people.Tally(ctx, from, to)
}

// Witnessing implements [console.Watch].
func (m *managers) Witnessing(ctx context.Context) (w console.Witnessing, err error) {
	err = m.d.with(readOnly, func(a *app) error {
		d, err := a.debt(ctx)
		if err != nil {
			return err
		}
		w = console.Witnessing{Without: d.Without, None: d.Witnesses == 0, Contradicted: len(d.Objections) > 0}
		if d.Since != nil {
			w.Since, w.Until = *d.Since, d.Since.Add(time.Duration(a.cfg.Audit.DebtLimit))
		}
		return nil
	})
	return w, err
}

// whose says which office an entry of the audit log belongs to: that of the operator.
// Who is no operator, such as the account of a command, belongs to none.
func (m *managers) whose(ctx context.Context, actor, _ string) (string, error) {
	op, err := m.people.Operator(ctx, actor)
	if errors.Is(err, staff.ErrNoOperator) {
		return "", nil
	}
	return op.Office, err
}
