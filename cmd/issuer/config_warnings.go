package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sanad-id/sanad/programme"
)

// partWarnings say what would fail later on for the sake of something that the settings
// name: the journal that every change needs, the keys of verifiers that every bundle lists,
// the layouts and fonts of paper, and programmes that there are not.
func (a *app) partWarnings(ctx context.Context) ([]string, error) {
	all, err := a.service.Programmes(ctx)
	if err != nil {
		return nil, err
	}
	var warnings []string
	if a.cfg.Journal != "" {
		if v := lookAtJournal(a.cfg.Journal); v.Error != "" {
			warnings = append(warnings, fmt.Sprintf("nothing can be changed: %s (is its disk there?)", v.Error))
		}
	}
	if _, err := a.cfg.Trust.registered(); err != nil {
		warnings = append(warnings, fmt.Sprintf("no trust bundle can be published: trust.verifiers: %v", err))
	}
	if len(a.cfg.Paper.Fonts) > 0 {
		if _, err := newPrinter(a.cfg); err != nil {
			warnings = append(warnings, fmt.Sprintf("nothing can be printed: paper.fonts: %v", err))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.cfg.Paper.Layouts)) {
		if p := programmeOf(all, id); p == nil {
			warnings = append(warnings, fmt.Sprintf("paper.layouts names %s, which is no programme in use", id))
		} else if _, err := newPaper(a.cfg, nil, p, paperOrder{}); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s cannot be printed: paper.layouts: %v", id, err))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.cfg.Serve.Sources)) {
		if programmeOf(all, id) == nil {
			warnings = append(warnings, fmt.Sprintf("serve.sources names %s, which is no programme in use", id))
		}
	}
	return warnings, nil
}

// programmeOf returns the programme with this id, nil if there is none.
func programmeOf(all []*programme.Programme, id string) *programme.Programme {
	if i := slices.IndexFunc(all, func(p *programme.Programme) bool { return p.ID == id }); i >= 0 {
		return all[i]
	}
	return nil
}
