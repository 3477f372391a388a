//! Chat and presence on roomful-socket and roomful-store: the rules of the product.
