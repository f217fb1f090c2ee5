package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/sqldb"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/sqltable"
	"github.com/sanad-id/sanad/store"
)

// A desk is the issuer as a server works with it: opened when something is to be done,
// opened again after a fault, and, where the database is a file, closed when nothing is
// done for a moment, so that the commands of the office get their turn.
type desk struct {
	p    *program
	cmd  *cobra.Command
	cfg  Config
	keys *keys.File

	mu    sync.Mutex
	app   *app
	users int
	gone  bool // app is given up when the last user leaves
	timer *time.Timer

	opening sqldb.Attempts
	probing chan struct{} // of size 1; guards probed
	probed  time.Time

	sources map[string]registry.Source // those of databases, by name
}

func newDesk(p *program, cmd *cobra.Command, cfg Config, ks *keys.File) *desk {
	return &desk{p: p, cmd: cmd, cfg: cfg, keys: ks, probing: make(chan struct{}, 1), sources: map[string]registry.Source{}}
}

// idleAfter is how long a database file stays open behind the last use.
const idleAfter = time.Second

// with gives the open issuer to a function.
func (d *desk) with(_ access, do func(*app) error) error {
	a, err := d.enter()
	if err != nil {
		return err
	}
	defer d.leave()
	err = do(a)
	if spent(err) {
		d.mu.Lock()
		d.gone = d.gone || d.app == a
		d.mu.Unlock()
	}
	return err
}

// spent reports whether the database has to be opened anew after an error.
func spent(err error) bool {
	for _, e := range []error{store.ErrClosed, store.ErrBroken, store.ErrFenced, store.ErrFileChanged} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (d *desk) enter() (*app, error) {
	if a := d.current(); a != nil {
		return a, nil
	}
	var a *app
	err := d.opening.Try(func() (err error) {
		if a = d.current(); a != nil {
			return nil
		}
		if a, err = d.p.openOffice(d.cmd, d.cfg, d.keys, readWrite); err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.app, d.users, d.gone = a, 1, false
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// current is the open issuer with one more user, or nil.
func (d *desk) current() *app {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.app == nil || d.gone {
		return nil
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.users++
	return d.app
}

func (d *desk) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users--
	switch {
	case d.users > 0:
	case d.gone:
		d.shut()
	case !store.IsPostgres(d.cfg.Store):
		d.timer = time.AfterFunc(idleAfter, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.users == 0 && d.timer != nil {
				d.shut()
			}
		})
	}
}

// shut closes the issuer, with mu.
func (d *desk) shut() {
	if d.app != nil {
		d.app.close()
	}
	d.app, d.gone, d.timer = nil, false, nil
}

// close ends the desk.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut()
	for _, s := range d.sources {
		if c, ok := s.(interface{ Close() error }); ok {
			_ = c.Close()
		}
	}
}

const (
	// probeFresh is how long it counts that the journal could be written.
	probeFresh = 100 * time.Millisecond
	// probePatience is how long its disk may take.
	probePatience = time.Second
)

// MayAct implements [issuer.Office]: database and journal can be written.
func (d *desk) MayAct(ctx context.Context) error {
	return d.with(readWrite, func(a *app) error {
		if err := a.store.CheckFence(ctx); err != nil {
			return err
		}
		return d.probe()
	})
}

// probe writes a file beside the journal's, as a transaction will. Those who ask at
// the same time share an answer; while the disk hangs nobody begins another write.
func (d *desk) probe() error {
	if d.cfg.Journal == "" {
		return nil
	}
	timeout := time.NewTimer(probePatience)
	defer timeout.Stop()
	hangs := errors.New("the journal's disk does not answer")
	select {
	case d.probing <- struct{}{}:
	case <-timeout.C:
		return hangs
	}
	if time.Since(d.probed) < probeFresh {
		<-d.probing
		return nil
	}
	done := make(chan error, 1)
	go func() {
		err := writeProbe(d.cfg.Journal)
		if err == nil {
			d.probed = time.Now()
		}
		<-d.probing
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
		return hangs
	}
}

// probeSize is more than the entries of one credential.
const probeSize = 16 << 10

func writeProbe(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is empty of meaning
	b := make([]byte, probeSize)
	rand.Read(b)
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// Epoch implements [issuer.Office].
func (d *desk) Epoch(context.Context) (epoch int64, err error) {
	err = d.with(readOnly, func(a *app) error {
		epoch = a.store.Epoch()
		return nil
	})
	return epoch, err
}

// Deliver implements [issuer.Office].
func (d *desk) Deliver(ctx context.Context, r issuance.Delivery) (issued *issuance.Issued, err error) {
	err = d.with(readWrite, func(a *app) error {
		issued, err = a.service.Deliver(ctx, r)
		return err
	})
	return issued, err
}

// Programmes implements [issuer.Office].
func (d *desk) Programmes(ctx context.Context) (all []*programme.Programme, err error) {
	err = d.with(readOnly, func(a *app) error {
		all, err = a.service.Programmes(ctx)
		return err
	})
	return all, err
}

// Record implements [issuer.Office].
func (d *desk) Record(ctx context.Context, programmeID, recordID string) (record registry.Record, err error) {
	var p *programme.Programme
	err = d.with(readOnly, func(a *app) error {
		p, err = a.service.Programme(ctx, programmeID, 0)
		return err
	})
	if err != nil {
		return registry.Record{}, err
	}
	src, done, err := d.source(ctx, d.cfg.Serve.Sources[programmeID], p)
	if err != nil {
		return registry.Record{}, err
	}
	defer done()
	return src.Lookup(ctx, recordID)
}

// source opens a source. One of a database is kept; a file is read as it is now.
func (d *desk) source(ctx context.Context, name string, p *programme.Programme) (registry.Source, func(), error) {
	key := name + "\x00" + p.ID
	d.mu.Lock()
	src, ok := d.sources[key]
	d.mu.Unlock()
	if ok {
		return src, func() {}, nil
	}
	src, err := openSource(ctx, d.cfg.Sources, name, p)
	if err != nil {
		return nil, nil, err
	}
	if _, kept := src.(*sqltable.Source); !kept {
		return src, func() { closeSource(src) }, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if other, ok := d.sources[key]; ok {
		closeSource(src)
		return other, func() {}, nil
	}
	d.sources[key] = src
	return src, func() {}, nil
}

func closeSource(s registry.Source) {
	if c, ok := s.(interface{ Close() error }); ok {
		_ = c.Close()
	}
}
