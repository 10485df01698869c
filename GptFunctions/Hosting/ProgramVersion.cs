using System.Reflection;

namespace GptFunctions.Hosting;

internal static class ProgramVersion
{
    /// <summary>With the commit, where the build knew it.</summary>
    public static string Text { get; } = typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
}
