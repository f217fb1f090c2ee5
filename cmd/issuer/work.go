package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	people "github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/work"
)

// newWork makes the daily work of the console, over the issuer as a server has it.
func (p *program) newWork(cfg Config, d *desk, db *people.DB, offers *issuer.Endpoints) (*work.Desk, *workOffice, error) {
	o := &workOffice{d: d, people: db, sources: map[string]heldSource{}}
	w := work.Config{
		Store: db, Index: db, Issuer: o, Source: o.source, Offices: db.Offices, Office: db.Office, Secret: d.keys.Secret, Approval: cfg.Console.Approval,
		Keep: time.Duration(cfg.Console.KeepWork), Now: p.Now,
	}
	if offers != nil {
		w.Offers = workOffers{offers, cfg.Serve.TxCode.rule()}
	}
	desk, err := work.New(w)
	return desk, o, err
}

// workOffice is the issuer as the daily work needs it.
type workOffice struct {
	d      *desk
	people *people.DB

	mu      sync.Mutex
	sources map[string]heldSource
}

// heldSource is a registry that stays open for a while: the places of the records of a
// file are known to whoever has read it.
type heldSource struct {
	registry.Source
	since time.Time
	done  func()
}

// holdFor is how long a registry stays open. A file that has other columns since is
// noticed after that.
const holdFor = 5 * time.Minute

var (
	_ work.Issuer  = (*workOffice)(nil)
	_ work.Numbers = (*workOffice)(nil)
)

// do gives the open issuer to a function.
func (o *workOffice) do(f func(*app) error) error { return o.d.with(readWrite, f) }

// source opens the registry of a programme, or returns the one that is open.
func (o *workOffice) source(ctx context.Context, programmeID string) (registry.Source, func(), error) {
	name := o.d.cfg.Serve.Sources[programmeID]
	if name == "" && len(o.d.cfg.Sources) != 1 {
		return nil, nil, work.ErrNoSource
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, ok := o.sources[programmeID]; ok {
		if o.d.p.Now().Sub(s.since) < holdFor {
			return s.Source, func() {}, nil
		}
		delete(o.sources, programmeID)
	}
	p, err := o.Programme(ctx, programmeID, 0)
	if err != nil {
		return nil, nil, err
	}
	s, done, err := o.d.source(ctx, name, p)
	if err != nil {
		return nil, nil, err
	}
	// Whoever has it now may use it beyond its time: connectors have nothing to close but
	// pools, which the desk keeps.
	o.sources[programmeID] = heldSource{s, o.d.p.Now(), done}
	return s, func() {}, nil
}

// Programme implements [work.Issuer].
func (o *workOffice) Programme(ctx context.Context, id string, version int) (p *programme.Programme, err error) {
	err = o.do(func(a *app) error {
		p, err = a.service.Programme(ctx, id, version)
		return err
	})
	return p, err
}

// Programmes implements [work.Issuer].
func (o *workOffice) Programmes(ctx context.Context) ([]*programme.Programme, error) {
	return o.d.Programmes(ctx)
}

// Pseudonym implements [work.Issuer].
func (o *workOffice) Pseudonym(_ context.Context, programmeID, recordID string) (sum issuance.Pseudonym, err error) {
	err = o.do(func(a *app) error {
		sum = a.service.Pseudonym(programmeID, recordID)
		return nil
	})
	return sum, err
}

// Preview implements [work.Issuer].
func (o *workOffice) Preview(ctx context.Context, programmeID string, r registry.Record) (p issuance.Preview, err error) {
	err = o.do(func(a *app) error {
		p, err = a.service.Preview(ctx, programmeID, r)
		return err
	})
	return p, err
}

// Credential implements [work.Issuer].
func (o *workOffice) Credential(ctx context.Context, id string) (c issuance.Credential, err error) {
	err = o.do(func(a *app) error {
		c, err = a.service.Credential(ctx, id)
		return err
	})
	return c, err
}

// Credentials implements [work.Issuer].
func (o *workOffice) Credentials(ctx context.Context, programmeID, recordID string) (all []issuance.Credential, err error) {
	err = o.do(func(a *app) error {
		all = nil
		for c, err := range a.store.Find(ctx, issuance.Query{Programme: programmeID, Record: a.service.Pseudonym(programmeID, recordID)}) {
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// numberPatience is how long one may look for a number among all credentials.
const numberPatience = 10 * time.Second

// WithNumber implements [work.Numbers].
func (o *workOffice) WithNumber(ctx context.Context, programmeID, number string) (found []issuance.Credential, err error) {
	ctx, cancel := context.WithTimeout(ctx, numberPatience)
	defer cancel()
	err = o.do(func(a *app) error {
		found = nil
		for c, err := range a.store.Find(ctx, issuance.Query{Programme: programmeID, Number: number}) {
			if err != nil {
				return err
			}
			found = append(found, c)
		}
		return nil
	})
	return found, err
}

// Issue implements [work.Issuer].
func (o *workOffice) Issue(ctx context.Context, r issuance.Request) (i issuance.Issued, err error) {
	err = o.do(func(a *app) error {
		i, err = a.service.Issue(ctx, r)
		return err
	})
	return i, err
}

// Supersede implements [work.Issuer].
func (o *workOffice) Supersede(ctx context.Context, id string, r issuance.Request) (i issuance.Issued, err error) {
	err = o.do(func(a *app) error {
		i, err = a.service.Supersede(ctx, id, r)
		return err
	})
	return i, err
}

// Revoke implements [work.Issuer].
func (o *workOffice) Revoke(ctx context.Context, id string, r issuance.Reason, actor string) (c issuance.Credential, err error) {
	err = o.do(func(a *app) error {
		c, err = a.service.Revoke(ctx, id, r, actor)
		return err
	})
	return c, err
}

// Suspend implements [work.Issuer].
func (o *workOffice) Suspend(ctx context.Context, id string, r issuance.Reason, actor string) (c issuance.Credential, err error) {
	err = o.do(func(a *app) error {
		c, err = a.service.Suspend(ctx, id, r, actor)
		return err
	})
	return c, err
}

// Resume implements [work.Issuer].
func (o *workOffice) Resume(ctx context.Context, id, actor string) (c issuance.Credential, err error) {
	err = o.do(func(a *app) error {
		c, err = a.service.Resume(ctx, id, actor)
		return err
	})
	return c, err
}

// noteKinds are the kinds of entries by when they are written.
var noteKinds = map[work.Phase]audit.Kind{work.Intended: audit.OperatorIntended, work.Ended: audit.OperatorDone, work.Broken: audit.OperatorFailed}

// Note implements [work.Issuer]. The subject is the item; where there is none it is the
// credential.
func (o *workOffice) Note(ctx context.Context, n work.Note) error {
	note := issuance.Note{Kind: noteKinds[n.Phase], Actor: n.Actor, Action: "work." + string(n.Deed), Subject: n.Item, Digest: n.Digest}
	if note.Subject == "" {
		note.Subject = n.Credential
	}
	return o.d.Note(ctx, note)
}

// workOffers makes offers through the endpoints that wallets use.
type workOffers struct {
	e       *issuer.Endpoints
	txCodes oid4vci.TxCodeRule
}

// Offer implements [work.Offers].
func (w workOffers) Offer(ctx context.Context, r work.OfferRequest) (work.Offer, error) {
	request := issuer.OfferRequest{Programme: r.Programme, Form: r.Form, Record: r.Record, Actor: r.Actor}
	if r.Code {
		request.TxCode = &w.txCodes
	}
	made, err := w.e.Offer(ctx, request)
	switch {
	case errors.Is(err, issuer.ErrNoConfiguration), errors.Is(err, issuer.ErrNeedsCode):
		return work.Offer{}, fmt.Errorf("%w: %w", work.ErrNotAllowed, err)
	case err != nil:
		return work.Offer{}, err
	}
	return work.Offer{Link: made.Link, Code: made.TxCode, Expires: made.Expires}, nil
}

const (
	// workEvery is how often it is looked whether something is due, sweepEvery how often
	// prints and items are erased whose time is up, refreshEvery how often registries are
	// looked at for the search.
	workEvery    = 2 * time.Second
	sweepEvery   = time.Minute
	refreshEvery = 2 * time.Minute
	// officesEvery is how often it is looked whether the offices are others. That reads
	// the console's database only.
	officesEvery = time.Second
)

// runWork does what is due until ctx ends. Any number of servers do so.
func runWork(ctx context.Context, w *work.Desk, log *slog.Logger) {
	last := time.Time{}
	for ctx.Err() == nil {
		if _, err := w.RunDue(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "work that is due is left for later", "err", err)
		}
		if now := time.Now(); now.Sub(last) >= sweepEvery {
			last = now
			if n, err := w.Sweep(ctx); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "prints and items are not erased", "err", err)
			} else if n > 0 {
				log.InfoContext(ctx, "prints that nobody used were erased", "prints", n)
			}
		}
		sleep(ctx, workEvery)
	}
}

// refreshIndexes keeps the search up to date until ctx ends. A line of the log tells how
// far a new index is.
func refreshIndexes(ctx context.Context, w *work.Desk, o *workOffice, log *slog.Logger) {
	for ctx.Err() == nil {
		known := o.officesMark(ctx) // before they are read
		all, err := o.Programmes(ctx)
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the search is not brought up to date", "err", err)
		}
		for _, p := range all {
			begun := time.Now()
			said := begun
			err := w.Refresh(ctx, p.ID, func(g work.Progress) {
				if now := time.Now(); g.Done || now.Sub(said) >= 10*time.Second {
					said = now
					log.InfoContext(ctx, "index of the search", "programme", g.Programme, "records", g.Records, "done", g.Done, "seconds", int(now.Sub(begun).Seconds()))
				}
			})
			if err != nil && ctx.Err() == nil && !errors.Is(err, work.ErrNoSource) && !errors.Is(err, work.ErrBusy) {
				log.WarnContext(ctx, "the search is not brought up to date", "programme", p.ID, "err", err)
			}
		}
		awaitOffices(ctx, o.officesMark, known, officesEvery, refreshEvery)
	}
}

// officesMark is another one when an office sees other records than before; "" if nobody
// knows.
func (o *workOffice) officesMark(ctx context.Context) string {
	all, err := o.people.Offices(ctx)
	if err != nil {
		return ""
	}
	hash := sha256.New()
	for _, office := range all {
		fmt.Fprintf(hash, "%q %q %q %q\n", office.ID, office.Programmes, office.Column, office.Values)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// awaitOffices waits for so long, but looks every tick whether the offices are still the
// known ones: whoever makes one, in this process or another, finds its records at once.
func awaitOffices(ctx context.Context, mark func(context.Context) string, known string, tick, most time.Duration) {
	for end := time.Now().Add(most); ctx.Err() == nil && time.Now().Before(end); {
		sleep(ctx, tick)
		if now := mark(ctx); now != "" && now != known {
			return
		}
	}
}
