using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace GptFunctions.Data;

/// <summary>
/// A statement of a list with filters that may be left out. Each choice of them is a statement of its own, made when it is first asked for: one for
/// all of them (<c>@user IS NULL OR ...</c>) would have one plan for all of them, and that reads whole tables.
/// </summary>
/// <param name="text">With <c>{filters}</c> where the conditions go, each as <c>AND condition</c>.</param>
/// <param name="conditions">In the order in which <see cref="With"/> is told of them.</param>
internal sealed class FilteredSql(
    string text, string[] conditions, [CallerMemberName] string constant = "", [CallerFilePath] string file = "")
{
    private readonly ConcurrentDictionary<int, Sql> made = new();

    /// <param name="given">Whether each filter is there. Parameters of those that are not are to be bound by <see cref="Binding.BindIfUsed"/>.</param>
    public Sql With(params ReadOnlySpan<bool> given)
    {
        if (given.Length != conditions.Length)
        {
            throw new ArgumentException($"{conditions.Length} filters are to be told of.", nameof(given));
        }

        var choice = 0;
        for (var place = 0; place < given.Length; place++)
        {
            choice |= given[place] ? 1 << place : 0;
        }

        return made.GetOrAdd(choice, Make);
    }

    private Sql Make(int choice)
    {
        var chosen = conditions.Where((_, place) => (choice & (1 << place)) != 0).Select(condition => " AND " + condition);
        return new Sql(text.Replace("{filters}", string.Concat(chosen), StringComparison.Ordinal), constant, file);
    }
}
