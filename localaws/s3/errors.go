package s3

import (
	"errors"
	"net/http"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// errNoBucket and errNoObject are S3's words for [ErrNoBucket] and [ErrNoObject].
func errNoBucket() error {
	return errors.Join(ErrNoBucket, wire.Errorf("NoSuchBucket", "The specified bucket does not exist").WithStatus(http.StatusNotFound))
}

func errNoObject() error {
	return errors.Join(ErrNoObject, wire.Errorf("NoSuchKey", "The specified key does not exist.").WithStatus(http.StatusNotFound))
}

func errNoUpload() error {
	return wire.Errorf("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.").WithStatus(http.StatusNotFound)
}

func errMalformed() error {
	return wire.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func errArgument(format string, args ...any) error {
	return wire.Errorf("InvalidArgument", format, args...)
}

func errPrecondition() error {
	return wire.Errorf("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").WithStatus(http.StatusPreconditionFailed)
}
