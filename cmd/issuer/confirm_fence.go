package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/store"
)

// closeForAll sees to it that nobody works beside the one who confirms. A fence that was
// stored does. A standby that took over is none to programs that are told it lacks nothing;
// nor is a database that lacks what the journal holds, since an older one was put in its
// place past issuer restore. With --check it only says so.
func (a *app) closeForAll(cmd *cobra.Command, o confirmOptions, v *confirmView) error {
	v.Fence = a.store.Fenced()
	if stored, err := a.store.FenceStored(cmd.Context()); stored || err != nil {
		return err
	}
	if v.Fence == "" {
		behind, err := a.behind(cmd, o.journal)
		if err != nil {
			return err
		}
		if !behind {
			return cli.Hint(errors.New("this issuer is not fenced: there is nothing to confirm"), "`issuer fsck` says whether all is in order")
		}
		v.Fence = store.FenceRestored
		if store.IsPostgres(a.cfg.Store) {
			v.Fence = store.FenceFailedOver
		}
	}
	v.Epoch++ // which closing it raises
	if o.check {
		return nil
	}
	return a.store.Fence(cmd.Context(), v.Fence)
}

// behind reports whether the database lacks what the journal in a folder, if one is named,
// knows to be confirmed.
func (a *app) behind(cmd *cobra.Command, folder string) (bool, error) {
	if folder == "" {
		return false, nil
	}
	size, err := a.store.AuditSize(cmd.Context())
	if err != nil {
		return false, err
	}
	j, err := audit.OpenJournal(folder)
	if err != nil {
		return false, err
	}
	return j.Size() > size, j.Close()
}
