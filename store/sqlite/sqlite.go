package sqlite

import (
	"errors"
	"log/slog"

	"vigie/store"
)

// Open opens the directory in the file at path, creating it when there is none.
func Open(path string, logger *slog.Logger) (store.Directory, error) {
	return nil, errors.New("sqlite: not there yet")
}
