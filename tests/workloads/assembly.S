# Functions that no compiler writes. Each keeps busy for %rdi rounds.
# assembly_main.c calls them and says what each is for.

	.macro function name
	.globl \name
	.type \name, @function
	.p2align 4
\name:
	.endm

	.macro spin
	mov %rdi, %rax
0:	imul $69069, %rax, %rax
	dec %rdi
	jnz 0b
	.endm

	.text

# The stack pointer changes within the function: a third of the time at each depth.
	function pushes_between
	.cfi_startproc
	mov %rdi, %rsi
	spin
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset rbx, -16
	mov %rsi, %rdi
	spin
	sub $72, %rsp
	.cfi_adjust_cfa_offset 72
	mov %rsi, %rdi
	spin
	add $72, %rsp
	.cfi_adjust_cfa_offset -72
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	ret
	.cfi_endproc
	.size pushes_between, . - pushes_between

# The caller's stack pointer is kept in %rbx, and the frame is of a size that the tables cannot know.
	function cfa_from_rbx
	.cfi_startproc
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset rbx, -16
	mov %rsp, %rbx
	.cfi_def_cfa_register rbx
	mov %rdi, %rax
	and $0x70, %rax
	sub %rax, %rsp
	and $-64, %rsp
	spin
	mov %rbx, %rsp
	.cfi_def_cfa_register rsp
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	ret
	.cfi_endproc
	.size cfa_from_rbx, . - cfa_from_rbx

# The caller's stack pointer is kept in memory at the stack pointer: the CFA is an expression with a
# dereference, as in the digest functions of OpenSSL.
	function cfa_from_memory
	.cfi_startproc
	mov %rsp, %rax
	.cfi_def_cfa_register rax
	sub $128, %rsp
	and $-64, %rsp
	mov %rax, 64(%rsp)
	# DW_CFA_def_cfa_expression, 6 bytes: breg7 +64; deref; plus_uconst 8
	.cfi_escape 0x0f, 0x06, 0x77, 0xc0, 0x00, 0x06, 0x23, 0x08
	spin
	mov 64(%rsp), %rax
	.cfi_def_cfa rax, 8
	mov %rax, %rsp
	.cfi_def_cfa_register rsp
	ret
	.cfi_endproc
	.size cfa_from_memory, . - cfa_from_memory

# A leaf whose CFA is in a register that only the innermost frame still knows.
	function cfa_from_r10
	.cfi_startproc
	lea 8(%rsp), %r10
	.cfi_def_cfa r10, 0
	and $-64, %rsp
	spin
	lea -8(%r10), %rsp
	.cfi_def_cfa rsp, 8
	ret
	.cfi_endproc
	.size cfa_from_r10, . - cfa_from_r10

# No call frame information at all, but a frame pointer: one step by it leads back to known code.
	function frame_pointer_only
	push %rbp
	mov %rsp, %rbp
	spin
	pop %rbp
	ret
	.size frame_pointer_only, . - frame_pointer_only

	.section .note.GNU-stack, "", @progbits
