namespace GptFunctions.Operations;

/// <summary>A filter of a list: its parameter in the URL, and its field.</summary>
public sealed record FilterField(string Name, string Label, string? Example = null)
{
    /// <summary>What it may be; empty: any text.</summary>
    public string[] Choices { get; init; } = [];
}

/// <summary>A page of a list: at most <see cref="Size"/> rows.</summary>
/// <param name="Next">The key of the last row, for <c>after=</c>; null on the last page.</param>
public sealed record ListPage<T>(IReadOnlyList<T> Rows, string? Next)
{
    public const int Size = 50;

    /// <param name="rows">One more than fits, when there is one.</param>
    public static ListPage<T> Of(IReadOnlyList<T> rows, Func<T, string> key) =>
        rows.Count > Size ? new([.. rows.Take(Size)], key(rows[Size - 1])) : new(rows, null);
}
