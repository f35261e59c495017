"""JNE, JNE-SS, the shares, and what two fits share."""
