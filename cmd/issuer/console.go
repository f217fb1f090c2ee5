package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // offices name their time zone, and servers may not know it

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store"
	people "github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/web/console"
)

// check reports the faults of the section.
func (c *ConsoleConfig) check(need func(ok bool, format string, args ...any)) {
	if c.Origin != "" {
		err := console.CheckOrigin(c.Origin)
		need(err == nil, "console.origin: %v", err)
	}
	if store.IsPostgres(c.Desk) {
		err := checkStoreURL(c.Desk)
		need(err == nil, "console.desk: %v", err)
	}
	_, err := time.LoadLocation(c.TimeZone)
	need(err == nil, "console.time_zone: %q is not a time zone such as Asia/Dhaka", c.TimeZone)
	for _, r := range c.DeviceBound {
		need(slices.Contains(staff.Roles(), staff.Role(r)), "console.device_bound: there is no role %q", r)
	}
	need(c.Approval == "" || c.Approval == programme.ApprovalOne || c.Approval == programme.ApprovalTwo, "console.approval must be one or two")
	need(c.Absolute == 0 || c.Absolute >= c.Idle && c.Absolute >= c.IdleShort, "console.absolute must not be shorter than idle")
}

// openPeople opens what the console keeps.
func openPeople(ctx context.Context, cfg Config) (*people.DB, error) {
	return openPeopleWith(ctx, cfg, people.Options{})
}

func openPeopleWith(ctx context.Context, cfg Config, o people.Options) (_ *people.DB, err error) {
	if o.Password, err = cfg.passwordFor(cfg.Console.Desk); err != nil {
		return nil, err
	}
	return people.Open(ctx, cfg.Console.Desk, o)
}

// preparePeople makes its tables, where the owner of the database has to.
func preparePeople(ctx context.Context, cfg Config) error {
	return cfg.asOwnerOf(cfg.Console.Desk, func(owner, password, role string) error {
		return people.Prepare(ctx, owner, people.Options{Password: password, ServiceRole: role})
	})
}

// pages is the console as a server has it.
type pages struct {
	*console.Console
	origin string
	people *people.DB
	stop   func()
}

func (p *pages) close() {
	p.stop()
	_ = p.people.Close() // what was promised is stored
}

// openConsole opens the console; nil if it is not enabled.
func (p *program) openConsole(cmd *cobra.Command, cfg Config, d *desk, offers *issuer.Endpoints, devHTTP bool, log *slog.Logger) (_ *pages, err error) {
	s := cfg.Console
	if !s.Enabled {
		return nil, nil
	}
	m := &managers{p: p, cmd: cmd, d: d}
	folder, err := batchwork.OpenFolder(s.Batches)
	if err != nil {
		return nil, err
	}
	// What keeps a server from starting keeps the console from being served, if its
	// database comes back later.
	db, err := openPeopleWith(cmd.Context(), cfg, people.Options{Late: true, Check: func(ctx context.Context, db *people.DB) error {
		if err := p.lookAtPeople(ctx, cmd, db, devHTTP); err != nil {
			return err
		}
		return m.sameFolder(ctx, db, folder)
	}})
	switch {
	case db != nil && outOfReach(err):
		cli.Say(cmd, "note: the database of the console is out of reach; the console answers when it is back: %v", err)
	case err != nil:
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	c := console.Config{
		Origin: consoleOrigin(cfg), Names: cfg.Issuer.Names, Desk: db, Audit: d, Help: s.Help, Log: log, Now: p.Now, Pocket: pocketURL(cfg),
		Limits: console.Limits{Idle: time.Duration(s.Idle), IdleShort: time.Duration(s.IdleShort), Absolute: time.Duration(s.Absolute)},
	}
	printer, err := newPrinter(cfg)
	if err != nil {
		return nil, err
	}
	paper := &officePaper{printer, cfg, d}
	c.Paper = paper
	if c.Zone, err = time.LoadLocation(s.TimeZone); err != nil {
		return nil, err
	}
	for _, r := range s.DeviceBound {
		c.DeviceBound = append(c.DeviceBound, staff.Role(r))
	}
	m.people, m.paper = db, paper
	if c.Manage, err = m.open(folder, log); err != nil {
		return nil, err
	}
	var office *workOffice
	if c.Work, office, err = p.newWork(cfg, d, db, offers); err != nil {
		return nil, err
	}
	served, err := console.New(c)
	if err != nil {
		return nil, cli.Hint(err, "console.origin in the settings says where browsers find the console")
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	var ended sync.WaitGroup
	ended.Go(func() { runWork(ctx, c.Work, log) })
	ended.Go(func() { refreshIndexes(ctx, c.Work, office, log) })
	ended.Go(func() { c.Manage.Batches.Run(ctx) })
	ended.Go(func() { followHistory(ctx, d, db, log) })
	ended.Go(func() {
		for ctx.Err() == nil {
			if _, err := db.Sweep(ctx, p.Now()); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "sessions that have expired are not swept", "err", err)
			}
			sleep(ctx, time.Minute)
		}
	})
	return &pages{served, c.Origin, db, func() { cancel(); ended.Wait() }}, nil
}

// consoleOrigin is where browsers find the console.
func consoleOrigin(cfg Config) string {
	if cfg.Console.Origin != "" {
		return cfg.Console.Origin
	}
	u, err := url.Parse(address(cfg))
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// errLeftOver: whoever finds the link becomes administrator.
var errLeftOver = errors.New("there is an administrator, and still an open link for a first one")

// lookAtPeople refuses to serve for real with a link left over that makes whoever finds
// it an administrator, and says when nobody can sign in.
func (p *program) lookAtPeople(ctx context.Context, cmd *cobra.Command, db *people.DB, devHTTP bool) error {
	standings, links, err := db.People(ctx, p.Now())
	if err != nil {
		return err
	}
	active := standings[staff.Active] > 0
	switch {
	case active && links > 0 && !devHTTP:
		return cli.Hint(errLeftOver, "`issuer staff list` shows whose it is; `issuer staff leave ID` ends it, or have it used first")
	case active && links > 0:
		cli.Say(cmd, "warning: %v; with TLS this is refused", errLeftOver)
	case !active && links == 0:
		cli.Say(cmd, "nobody can sign in to the console yet; `issuer staff invite --name NAME --role administrator` makes a link for the first administrator")
	}
	return nil
}

// Note implements [console.Audit]. Before anything is written it is asked whether it
// can be, so that a disk that hangs is noticed within a second.
func (d *desk) Note(ctx context.Context, n issuance.Note) error {
	if err := d.MayAct(ctx); err != nil {
		return err
	}
	err := d.with(readWrite, func(a *app) error { return a.service.Note(ctx, n) })
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}
