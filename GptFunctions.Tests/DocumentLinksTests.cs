using System.Text.RegularExpressions;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests;

/// <summary>Every document of the repository: what it links to is there, to the heading.</summary>
public sealed partial class DocumentLinksTests
{
    private static readonly string Root = TestServices.RepositoryRoot;

    private static readonly string[] Documents =
    [
        .. Directory.EnumerateFiles(Root, "*.md"),
        .. Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories),
        .. Directory.EnumerateFiles(Path.Combine(Root, "infra"), "*.md", SearchOption.AllDirectories),
    ];

    [Fact]
    public async Task Links_lead_somewhere()
    {
        Assert.True(Documents.Length > 15);
        foreach (var document in Documents)
        {
            var name = Path.GetRelativePath(Root, document);
            foreach (var link in (await LinksAsync(document)).Where(link => !link.Contains(':', StringComparison.Ordinal)))
            {
                var parts = link.Split('#', 2);
                var target = parts[0].Length == 0 ? document : Path.GetFullPath(parts[0], Path.GetDirectoryName(document)!);
                Assert.True(Path.Exists(target), $"{name} links to {link}.");
                Assert.True(parts.Length == 1 || Anchors(await ReadAsync(target)).Contains(parts[1]), $"{name} links to {link}: there is no such heading.");
            }
        }
    }

    /// <summary>Nobody finds a document that nothing links to.</summary>
    [Fact]
    public async Task Documents_are_reached_from_the_readme()
    {
        var reached = new HashSet<string>(StringComparer.Ordinal);
        var next = new Queue<string>([Path.Combine(Root, "README.md")]);
        while (next.TryDequeue(out var document))
        {
            if (reached.Add(document))
            {
                var files = (await LinksAsync(document)).Select(link => link.Split('#')[0]).Where(link => link.EndsWith(".md", StringComparison.Ordinal));
                files.Select(file => Path.GetFullPath(file, Path.GetDirectoryName(document)!)).ToList().ForEach(next.Enqueue);
            }
        }

        Assert.Empty(Documents.Except(reached, StringComparer.Ordinal));
    }

    private static async Task<IEnumerable<string>> LinksAsync(string document) =>
        Link().Matches(await ReadAsync(document)).Select(match => match.Groups["target"].Value);

    /// <summary>Without code, which may look like a link.</summary>
    private static async Task<string> ReadAsync(string document) => Code().Replace(await File.ReadAllTextAsync(document), "");

    /// <summary>As GitHub makes them of headings.</summary>
    private static HashSet<string> Anchors(string text) => Heading().Matches(text)
        .Select(match => NoAnchor().Replace(match.Groups["text"].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-')).ToHashSet(StringComparer.Ordinal);

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Link();

    [GeneratedRegex("^#+ (?<text>.+)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NoAnchor();

    [GeneratedRegex(@"^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();
}
