// Package customresource is what the CDK constructs and the provider function say to
// each other: the types of custom resources, their properties and attributes, and the
// event that asks for a reconciliation. Both sides import it and nothing of each other.
//
// CloudFormation hands every property on as a string, or as a list or an object of
// strings, so these structs have strings only. A property that the provider does not
// know is refused: it was made for a later provider.
package customresource

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The resource types.
const (
	TypeImage       = "Custom::TasukiImage"           // [Image]: the image to create a function with
	TypeAlias       = "Custom::TasukiAlias"           // [Alias]: an alias that follows releases
	TypePlaceholder = "Custom::TasukiPlaceholder"     // [Placeholder]: a placeholder in ECR
	TypeDeployment  = "Custom::TasukiImageDeployment" // [Deployment]: any image in any ECR repository
)

// True is the one spelling of a property that is on; "" is off.
const True = "true"

// Properties returns the properties of a custom resource, one of this package's
// structs, as the generic object that a template holds.
func Properties(v any) map[string]any {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("customresource: %T is not for templates: %v", v, err)) // strings only
	}
	var properties map[string]any
	if err := json.Unmarshal(b, &properties); err != nil {
		panic(fmt.Sprintf("customresource: %T is no object: %v", v, err))
	}
	return properties
}

// Parse reads the properties of a custom resource into v, a pointer to one of this
// package's structs. CloudFormation's own properties are left aside.
func Parse(properties map[string]json.RawMessage, v any) error {
	own := make(map[string]json.RawMessage, len(properties))
	for name, value := range properties {
		if name != "ServiceToken" && name != "ServiceTimeout" {
			own[name] = value
		}
	}
	b, err := json.Marshal(own)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	return decoder.Decode(v)
}
