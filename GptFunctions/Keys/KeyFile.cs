using GptFunctions.Tokens;

namespace GptFunctions.Keys;

/// <summary>
/// A file that keeps signing keys: the text of one setting alone, as in a mounted secret, or lines of <c>NAME=VALUE</c> as in Development's
/// <c>.local/development.env</c>.
/// </summary>
internal sealed class KeyFile
{
    private readonly string path;
    private readonly string[] lines;
    private readonly Dictionary<string, string> texts = new(StringComparer.Ordinal);

    /// <param name="path">One that is not there yet begins with the text of <paramref name="settings"/>.</param>
    /// <param name="settings">What the settings hold now, by name.</param>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public KeyFile(string path, IReadOnlyDictionary<string, string> settings)
    {
        // Where it is a link, the file behind it is what changes.
        this.path = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
        lines = File.Exists(this.path) ? File.ReadAllLines(this.path) : [];
        foreach (var (name, text) in settings)
        {
            if (Array.Find(lines, line => line.StartsWith(name + "=", StringComparison.Ordinal)) is { } line)
            {
                texts[name] = line[(name.Length + 1)..].Trim();
            }
        }

        if (texts.Count == 0)
        {
            var isForOld = Path.GetFileName(path).Replace('-', '_').Equals(TokenKeys.PreviousSigningKeysName, StringComparison.OrdinalIgnoreCase);
            var name = isForOld ? TokenKeys.PreviousSigningKeysName : TokenKeys.SigningKeysName;
            texts[name] = File.Exists(this.path) ? string.Join(' ', lines).Trim() : settings[name];
        }

        using (File.Create(DraftPath(), 1, FileOptions.DeleteOnClose))
        {
            // The directory takes files: nobody is told of a change that then fails.
        }
    }

    /// <summary>What it holds, by the setting's name.</summary>
    public IReadOnlyDictionary<string, string> Texts => texts;

    /// <summary>Puts the whole file into place at once: who reads it meanwhile reads the one before or the one after.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public void Write(string setting, string text)
    {
        var start = setting + "=";
        var isList = Array.Exists(lines, line => line.StartsWith(start, StringComparison.Ordinal));
        var whole = isList
            ? string.Concat(lines.Select(line => (line.StartsWith(start, StringComparison.Ordinal) ? start + text : line) + "\n"))
            : text;
        var draft = DraftPath();
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = File.Exists(path) ? File.GetUnixFileMode(path) : UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var writer = new StreamWriter(draft, options))
        {
            writer.Write(whole);
        }

        File.Move(draft, path, overwrite: true);
    }

    // Files with a leading dot are no settings.
    private string DraftPath() => Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}");
}
