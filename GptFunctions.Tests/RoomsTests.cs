using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using Xunit.Abstractions;

namespace GptFunctions.Tests;

/// <summary>CONTRIBUTING.md, "Rooms": the folders of the app know each other only as its table says, and none knows one that knows it.</summary>
public sealed partial class RoomsTests(ITestOutputHelper output)
{
    private static readonly string App = Path.Combine(TestServices.RepositoryRoot, "GptFunctions");

    [Fact]
    public async Task Rooms_know_what_the_table_says_and_no_other()
    {
        var table = await ReadTableAsync();
        var known = await ReadUsingsAsync();
        Print(known, [.. table.Select(row => row.Room)]);

        Assert.True(known.Count > 10);
        Assert.Equal(known.Select(room => room.Key).Order(StringComparer.Ordinal), table.Select(row => row.Room).Order(StringComparer.Ordinal));
        Assert.All(table, row => Assert.True(
            row.Known.ToHashSet(StringComparer.Ordinal).SetEquals(known[row.Room].Keys),
            $"{row.Room} knows {string.Join(", ", known[row.Room].Select(edge => $"{edge.Key} ({string.Join(' ', edge.Value)})"))}; "
                + $"the table says {string.Join(", ", row.Known)}."));
    }

    /// <summary>Rows that know only rows above them cannot know each other in a circle.</summary>
    [Fact]
    public async Task Room_knows_only_rooms_above_it()
    {
        var above = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (room, known) in await ReadTableAsync())
        {
            Assert.True(
                above.IsSupersetOf(known),
                $"{room} knows {string.Join(", ", known.Except(above, StringComparer.Ordinal))}, which the table has below it.");
            above.Add(room);
        }
    }

    /// <summary>The root knows everybody, and nobody knows the root.</summary>
    [Fact]
    public async Task Root_is_known_to_no_room() =>
        Assert.All(await ReadFilesAsync(), file => Assert.False(RootUsing().IsMatch(file.Text) || RootMention().IsMatch(file.Text), file.File));

    /// <summary>architecture.md 10: what a class asks for when it is made shows on which storey it stands.</summary>
    [Fact]
    public void Storey_knows_only_the_next()
    {
        var types = typeof(FunctionCatalog).Assembly.GetTypes();
        var functions = types.Where(type => type.GetMethods().Any(method => method.IsDefined(typeof(FunctionAttribute), inherit: true))).ToList();
        Assert.True(functions.Count > 10);
        AssertAskForNone(functions, "Store", "Database", "NpgsqlDataSource");
        AssertAskForNone(types.Where(type => type.Name.EndsWith("Service", StringComparison.Ordinal)), "Functions", "NpgsqlDataSource");
        AssertAskForNone(types.Where(type => type.Name.EndsWith("Store", StringComparison.Ordinal)), "Service", "Functions");
    }

    private static void AssertAskForNone(IEnumerable<Type> types, params string[] ends) => Assert.All(types, type => Assert.DoesNotContain(
        type.GetConstructors().SelectMany(constructor => constructor.GetParameters()).Select(parameter => parameter.ParameterType.Name),
        name => Array.Exists(ends, end => name.EndsWith(end, StringComparison.Ordinal))));

    private static async Task<List<(string Room, string[] Known)>> ReadTableAsync()
    {
        var text = await File.ReadAllTextAsync(Path.Combine(TestServices.RepositoryRoot, "CONTRIBUTING.md"));
        return [.. TableRow().Matches(text[text.IndexOf("| room | knows |", StringComparison.Ordinal)..])
            .Select(
                row => (
                    row.Groups["room"].Value,
                    row.Groups["known"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)))];
    }

    /// <summary>Room -> rooms that it knows -> the files that say so.</summary>
    private static async Task<SortedDictionary<string, SortedDictionary<string, SortedSet<string>>>> ReadUsingsAsync()
    {
        var rooms = new SortedDictionary<string, SortedDictionary<string, SortedSet<string>>>(StringComparer.Ordinal);
        foreach (var (file, text) in await ReadFilesAsync())
        {
            var room = file.Split('/')[0];
            rooms.TryAdd(room, new(StringComparer.Ordinal));
            foreach (var other in Using().Matches(text).Select(match => match.Groups["room"].Value).Where(other => other != room))
            {
                rooms[room].TryAdd(other, new(StringComparer.Ordinal));
                rooms[room][other].Add(Path.GetFileName(file));
            }
        }

        return rooms;
    }

    /// <summary>The files below the root's own.</summary>
    private static async Task<List<(string File, string Text)>> ReadFilesAsync()
    {
        var files = new List<(string, string)>();
        foreach (var path in Directory.EnumerateFiles(App, "*", SearchOption.AllDirectories))
        {
            var file = Path.GetRelativePath(App, path).Replace('\\', '/');
            if (Path.GetExtension(file) is ".cs" or ".razor" && file.Contains('/', StringComparison.Ordinal) && file.Split('/')[0] is not ("bin" or "obj"))
            {
                files.Add((file, await File.ReadAllTextAsync(path)));
            }
        }

        return files;
    }

    /// <summary>How many files of the row's room name the column's.</summary>
    private void Print(SortedDictionary<string, SortedDictionary<string, SortedSet<string>>> known, string[] order)
    {
        output.WriteLine(string.Concat(order.Select(room => room[..Math.Min(4, room.Length)].PadLeft(5)).Prepend(new string(' ', 12))));
        foreach (var room in order.Where(known.ContainsKey))
        {
            output.WriteLine(
                string.Concat(
                    order.Select(other => (known[room].TryGetValue(other, out var files) ? $"{files.Count}" : ".").PadLeft(5)).Prepend(room.PadRight(12))));
        }
    }

    [GeneratedRegex(
        @"^@?using (?:static |\w+ = )?(?:global::)?GptFunctions\.(?<room>\w+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Using();

    [GeneratedRegex(@"^@?using GptFunctions;?\s*$", RegexOptions.Multiline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RootUsing();

    [GeneratedRegex(@"(?<![\w.])(Features|SetupCommand)\.", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RootMention();

    [GeneratedRegex(@"^\| (?<room>[A-Z]\w+) \| (?<known>[\w, ]*)\|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex TableRow();
}
